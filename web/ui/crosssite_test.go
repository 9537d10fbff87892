package ui_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"steward/web"
	"steward/web/webtest"
)

// TestEveryFormRefusesOtherSites posts to every route as a page of another site would
// let a browser of an administrator do: none reaches a service.
func TestEveryFormRefusesOtherSites(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleAdmin)
	posts := 0
	fill := strings.NewReplacer("{id}", webtest.ID, "{device}", webtest.ID, "{operation}", webtest.ID, "{name}", "admin")
	err := chi.Walk(s.routes, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if method == http.MethodGet || method == http.MethodHead {
			return nil
		}
		posts++
		for header, value := range map[string]string{
			"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example",
		} {
			r := httptest.NewRequestWithContext(t.Context(), method, fill.Replace(pattern), strings.NewReader("confirm=x"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set(header, value)
			r.AddCookie(c)
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden {
				t.Errorf("%s %s with %s: %s = %d, want 403", method, pattern, header, value, w.Code)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if posts < 30 {
		t.Errorf("%d routes take a form, want all", posts)
	}
	if calls := s.fake.Calls(); len(calls) > 0 {
		t.Errorf("services were reached: %+v", calls)
	}
}

// TestEveryPageRefusesFrames looks at the headers of every page.
func TestEveryPageRefusesFrames(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleAdmin)
	for _, path := range append([]string{"/sign-in", "/nothing"}, pages...) {
		h := s.do(t, http.MethodGet, path, c, nil).Header()
		if policy := h.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") ||
			!strings.Contains(policy, "form-action 'self'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
	}
}
