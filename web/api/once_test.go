package api_test

import (
	"net/http"
	"strings"
	"testing"

	"steward/web"
	"steward/web/once"
	"steward/web/webtest"
)

// TestEveryPostTakesAKey sends each POST twice: the second changes nothing.
func TestEveryPostTakesAKey(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := readContract(t)
	routes(t, s, func(method, pattern, path string) {
		if method != http.MethodPost {
			return
		}
		key := method + " " + pattern
		if !c.operations[key].keyed {
			t.Errorf("openapi.yaml: %s lacks the parameter IdempotencyKey", key)
		}
		send := func() (status, calls int, replayed bool) {
			w := s.send(t, method, path, web.RoleAdmin, bodies[key], "If-Match", "*", "Idempotency-Key", pattern)
			return w.Code, len(s.fake.Calls()), w.Header().Get(once.Replayed) == "true"
		}
		status, calls, replayed := send()
		if status/100 != 2 || replayed {
			t.Errorf("%s = %d, replayed %v", key, status, replayed)
		}
		if again, after, replayed := send(); again != status || after != calls || !replayed {
			t.Errorf("%s again = %d, replayed %v, with %d more calls", key, again, replayed, after-calls)
		}
		other := s.send(t, method, path+"?x=1", web.RoleAdmin, bodies[key], "If-Match", "*", "Idempotency-Key", pattern)
		if other.Code != http.StatusUnprocessableEntity || !strings.Contains(other.Body.String(), "idempotency_key_reused") {
			t.Errorf("%s for another request with the same key = %d\n%s", key, other.Code, other.Body)
		}
	})
}

// TestKeysAreForThoseWhoMay: who may not do it learns nothing of who did.
func TestKeysAreForThoseWhoMay(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	const target, body = "/api/v1/sign-in-links", `{"name":"bob","role":"viewer"}`
	for role, want := range map[web.Role]int{web.RoleAdmin: 201, web.RoleOperator: 403, web.RoleNone: 401} {
		if w := s.send(t, http.MethodPost, target, role, body, "Idempotency-Key", "k"); w.Code != want {
			t.Errorf("as %q = %d, want %d", role, w.Code, want)
		}
	}
}
