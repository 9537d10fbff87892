package ui_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/web"
	"steward/web/webtest"
)

// TestEventsOfOneDevice checks that a page hears of its subject and type only,
// and that the stream ends after a while, so that ended sessions are noticed.
func TestEventsOfOneDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &webtest.Fake{Text: "x"})
		c := s.session(t, web.RoleViewer)
		go func() {
			time.Sleep(time.Second)
			s.stream.Publish(web.Event{Type: web.EventValue, Subject: "other", Data: []byte(`1`)})
			s.stream.Publish(web.Event{Type: web.EventDevice, Subject: "d", Data: []byte(`2`)})
			s.stream.Publish(web.Event{Type: web.EventValue, Subject: "d", Data: []byte(`3`)})
		}()
		begin := time.Now()
		w := s.do(t, http.MethodGet, "/events?subject=d&type=device.value", c, nil)
		if took := time.Since(begin); took != 5*time.Minute {
			t.Errorf("stream lasted %v, want five minutes", took)
		}
		if text := w.Body.String(); strings.Count(text, "data:") != 1 || !strings.Contains(text, `"data":3`) {
			t.Errorf("stream:\n%s", text)
		}
		if w := s.do(t, http.MethodGet, "/events", nil, nil); w.Code != http.StatusSeeOther {
			t.Errorf("signed out = %d, want a redirect", w.Code)
		}
	})
}
