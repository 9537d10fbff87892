package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"steward/web"
)

func TestTraceparent(t *testing.T) {
	const id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for header, accepted := range map[string]bool{
		"00-" + id + "-" + parent + "-01":                       true, // W3C Trace Context §3.2.3
		"cc-" + id + "-" + parent + "-01-later":                 true,
		"00-" + id + "-" + parent + "-01-later":                 false,
		"ff-" + id + "-" + parent + "-01":                       false,
		"00-00000000000000000000000000000000-" + parent + "-01": false,
		"00-" + id + "-0000000000000000-01":                     false,
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-" + parent + "-01": false,
		"00-" + id + "-" + parent:                               false,
		"00-" + id[1:] + "-" + parent + "-01":                   false,
		"00-" + id + "-xxf067aa0ba902b7-01":                     false,
		"0-" + id + "-" + parent + "-01":                        false,
		"":                                                      false,
		"00-" + id + "-" + parent + "-1":                        false,
		"00-" + id[:31] + "\n-" + parent + "-01":                false,
	} {
		var seen string
		h := web.Trace(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = web.TraceID(r.Context()) }))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Traceparent", header)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if (seen == id) != accepted || len(seen) != 32 || w.Header().Get("X-Request-Id") != seen {
			t.Errorf("%q: trace id %s, accepted should be %v", header, seen, accepted)
		}
	}
}
