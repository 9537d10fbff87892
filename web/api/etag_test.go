package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/web"
	"steward/web/api"
	"steward/web/webtest"
)

func TestETag(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	const partner = "/api/v1/partners/" + webtest.ID
	first := s.send(t, http.MethodGet, partner, web.RoleViewer, "")
	tag := first.Header().Get("ETag")
	if len(tag) < 10 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		t.Fatalf("ETag = %q, want a strong one", tag)
	}
	for condition, want := range map[string]int{
		tag: 304, `"other", ` + tag: 304, "W/" + tag: 304, "*": 304, `"other"`: 200, "": 200,
	} {
		w := s.send(t, http.MethodGet, partner, web.RoleViewer, "", "If-None-Match", condition)
		if w.Code != want || w.Header().Get("ETag") != tag || (w.Body.Len() == 0) != (want == 304) {
			t.Errorf("If-None-Match: %s = %d with %d bytes, tag %s", condition, w.Code, w.Body.Len(), w.Header().Get("ETag"))
		}
	}
	s.fake.Text = "y"
	if w := s.send(t, http.MethodGet, partner, web.RoleViewer, ""); w.Header().Get("ETag") == tag {
		t.Error("a changed thing has the tag that it had before")
	}
	if w := s.send(t, http.MethodGet, "/metrics", web.RoleViewer, ""); w.Header().Get("ETag") != "" {
		t.Error("metrics have a tag")
	}
}

// TestSlowBodyHoldsNobodyUp has somebody begin a change and not send the rest of it:
// others change things of that kind meanwhile.
func TestSlowBodyHoldsNobodyUp(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	const state, change = "/api/v1/partners/" + webtest.ID + "/state", `{"state":"suspended","reason":"x"}`
	body, rest := io.Pipe()
	slow := httptest.NewRequestWithContext(t.Context(), http.MethodPut, state, body)
	slow.Header.Set("Authorization", "Bearer token-"+string(web.RoleAdmin))
	slow.Header.Set("Content-Type", "application/json")
	slow.Header.Set("If-Match", "*")
	var all sync.WaitGroup
	all.Go(func() { s.handler.ServeHTTP(httptest.NewRecorder(), slow) })
	if _, err := io.WriteString(rest, `{"state":`); err != nil { // returns when it is read
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	all.Go(func() {
		answered <- s.send(t, http.MethodPut, state, web.RoleAdmin, change, "If-Match", "*").Code
	})
	select {
	case code := <-answered:
		if code != http.StatusOK {
			t.Errorf("another change = %d", code)
		}
	case <-time.After(time.Minute):
		t.Error("another change waits for a body that does not come")
	}
	_ = rest.Close()
	all.Wait()
}

func TestPreconditions(t *testing.T) {
	fake := &webtest.Fake{Text: "x"}
	s := newSite(t, fake)
	const (
		partner = "/api/v1/partners/" + webtest.ID
		state   = partner + "/state"
		body    = `{"state":"suspended","reason":"x"}`
		profile = `{"mode":"psk","short_id":1,"lifetime":300}`
	)
	tag := s.send(t, http.MethodGet, partner, web.RoleViewer, "").Header().Get("ETag")
	for _, row := range []struct {
		name, target, body, header, value string
		want                              int
	}{
		{"none", state, body, "X", "", 428},
		{"matches", state, body, "If-Match", tag, 200},
		{"one of several matches", state, body, "If-Match", `"a", ` + tag, 200},
		{"any", state, body, "If-Match", "*", 200},
		{"another", state, body, "If-Match", `"a"`, 412},
		{"a weak tag never matches", state, body, "If-Match", "W/" + tag, 412},
		{"must be new", state, body, "If-None-Match", "*", 412},
		{"there is none", "/api/v1/partners/none/state", body, "If-Match", "*", 412},
		{"replace", "/api/v1/bootstrap-profiles/x", profile, "If-Match", "*", 200},
		{"make where there is one", "/api/v1/bootstrap-profiles/x", profile, "If-None-Match", "*", 412},
		{"make", "/api/v1/bootstrap-profiles/new", profile, "If-None-Match", "*", 200},
		{"replace where there is none", "/api/v1/bootstrap-profiles/new", profile, "If-Match", "*", 412},
	} {
		before := len(fake.Calls())
		w := s.send(t, http.MethodPut, row.target, web.RoleAdmin, row.body, row.header, row.value)
		if w.Code != row.want {
			t.Errorf("%s = %d, want %d: %s", row.name, w.Code, row.want, w.Body)
		}
		if reached := len(fake.Calls()) > before; reached != (row.want == 200) {
			t.Errorf("%s = %d, reached the service: %v", row.name, w.Code, reached)
		}
		if w.Code != 200 && !strings.HasPrefix(w.Header().Get("Link"), "</api/v1/") {
			t.Errorf("%s: Link = %q does not lead to what is to be read", row.name, w.Header().Get("Link"))
		}
		if w.Code == 200 && row.target == state && w.Header().Get("ETag") == "" {
			t.Errorf("%s: no ETag of what it is now", row.name)
		}
	}
}

// TestCommandsTakeConditions: who does not say what was seen may command, who does
// is taken by the word.
func TestCommandsTakeConditions(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	const pause = "/api/v1/campaigns/" + webtest.ID + "/commands"
	for header, want := range map[string]int{"X": 200, "If-Match": 412} {
		w := s.send(t, http.MethodPost, pause, web.RoleOperator, `{"action":"pause"}`, header, `"a"`)
		if w.Code != want {
			t.Errorf("%s = %d, want %d", header, w.Code, want)
		}
	}
}

// TestNoUpdateIsLost has many read one thing, and then all change it: one wins.
func TestNoUpdateIsLost(t *testing.T) {
	fake := &counted{Fake: &webtest.Fake{Text: "x"}}
	s := newSite(t, fake.Fake)
	services := fake.Services()
	services.Bootstraps = fake
	s.use(t, services)
	const profile = "/api/v1/bootstrap-profiles/x"
	tag := s.send(t, http.MethodGet, profile, web.RoleViewer, "").Header().Get("ETag")
	var wins, clashes int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			w := s.send(t, http.MethodPut, profile, web.RoleAdmin, `{"mode":"psk","short_id":1,"lifetime":300}`, "If-Match", tag)
			mu.Lock()
			defer mu.Unlock()
			switch w.Code {
			case http.StatusOK:
				wins++
			case http.StatusPreconditionFailed:
				clashes++
			default:
				t.Errorf("= %d", w.Code)
			}
		})
	}
	all.Wait()
	if wins != 1 || clashes != 15 {
		t.Errorf("%d won, %d clashed; want 1 and 15", wins, clashes)
	}
}

// TestEveryChangeIsGuarded holds that a change has the ETag of something to be
// guarded by, or a reason to have none.
func TestEveryChangeIsGuarded(t *testing.T) {
	c := readContract(t)
	s := newSite(t, &webtest.Fake{Text: "x"})
	for _, fault := range api.Unguarded(s.api) {
		t.Error(fault)
	}
	for key, o := range c.operations {
		method, path, _ := strings.Cut(key, " ")
		path = strings.Replace(strings.TrimPrefix(path, "/api/v1"), "{path}", "*", 1)
		if guarded := api.Guarded(s.api, method, path); guarded != o.conditional {
			t.Errorf("%s: If-Match counts %v, the contract says %v", key, guarded, o.conditional)
		}
	}
}
