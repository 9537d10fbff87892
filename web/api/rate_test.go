package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"steward/web"
	"steward/web/webtest"
)

// TestRate lets each caller ask so often, and no other pays for it.
func TestRate(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	now := webtest.Noon
	s.rate, s.now = 20, func() time.Time { return now }
	s.use(t, s.fake.Services())
	ask := func(role web.Role, path string) int {
		t.Helper()
		w := s.send(t, http.MethodGet, path, role, "")
		if (w.Code == http.StatusTooManyRequests) != (w.Header().Get("Retry-After") == "1") {
			t.Errorf("%d with Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
		return w.Code
	}
	many := func(role web.Role, path string) (n int) {
		t.Helper()
		for ask(role, path) != http.StatusTooManyRequests {
			if n++; n > 1000 {
				break
			}
		}
		return n
	}
	if n := many(web.RoleViewer, "/api/v1/me"); n != 100 {
		t.Errorf("%d at once, want 100", n)
	}
	if code := ask(web.RoleOperator, "/api/v1/me"); code != 200 {
		t.Errorf("another caller = %d", code)
	}
	now = now.Add(time.Second)
	if n := many(web.RoleViewer, "/api/v1/me"); n != 20 {
		t.Errorf("%d after a second, want 20", n)
	}
	if n := many(web.RoleNone, "/api/v1/me"); n != 50 {
		t.Errorf("%d of a stranger, want 50", n)
	}
	if code := ask(web.RoleNone, "/livez"); code != 200 {
		t.Errorf("/livez = %d", code)
	}
	if code := ask(web.RoleAdmin, "/api/v1/me"); code != 200 {
		t.Errorf("a caller who is known, from the same address = %d", code)
	}
}

// TestRateOfNetworks: whoever has a network of IPv6 is one stranger, not 2^64.
func TestRateOfNetworks(t *testing.T) {
	s := newSite(t, &webtest.Fake{})
	s.rate, s.now = 20, func() time.Time { return webtest.Noon }
	s.use(t, s.fake.Services())
	codes := map[int]int{}
	for n := range 100 {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/me", nil)
		r.RemoteAddr = fmt.Sprintf("[2001:db8::%x]:1234", n)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		codes[w.Code]++
	}
	if codes[http.StatusUnauthorized] != 50 || codes[http.StatusTooManyRequests] != 50 {
		t.Errorf("answers by status: %v", codes)
	}
}
