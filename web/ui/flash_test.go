package ui_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"steward/web"
	"steward/web/webtest"
)

// TestFlashWaitsForThePage: what a form says is shown by the page that it leads
// to, even if the script renews a part of another page in between.
func TestFlashWaitsForThePage(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	person := s.session(t, web.RoleAdmin)
	said := s.do(t, http.MethodPost, "/bootstrap/remove", person, url.Values{"name": {"usual"}}).Result().Cookies()
	if len(said) != 1 {
		t.Fatalf("cookies %v", said)
	}
	get := func(refresh bool) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/bootstrap", nil)
		r.AddCookie(person)
		r.AddCookie(said[0])
		if refresh {
			r.Header.Set("X-Refresh", "1")
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w
	}
	const text = "Profile usual is gone."
	if w := get(true); strings.Contains(w.Body.String(), text) || len(w.Result().Cookies()) > 0 {
		t.Error("a refresh took the message")
	}
	if w := get(false); !strings.Contains(w.Body.String(), text) {
		t.Error("the page does not show the message")
	}
}
