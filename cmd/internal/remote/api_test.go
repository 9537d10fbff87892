package remote_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"steward/cmd/internal/remote"
)

// TestConditions answers 428 as our REST API does, for a thing that there is and for
// one that is to be.
func TestConditions(t *testing.T) {
	var got http.Header
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /api/v1/things/{name}", func(w http.ResponseWriter, r *http.Request) {
		if got = r.Header; r.Header.Get("If-Match")+r.Header.Get("If-None-Match") == "" {
			w.Header().Set("Link", "<"+r.URL.Path+`>; rel="related"`)
			w.WriteHeader(http.StatusPreconditionRequired)
			return
		}
		_, _ = io.WriteString(w, `{}`)
	})
	mux.HandleFunc("GET /api/v1/things/new", http.NotFound)
	mux.HandleFunc("GET /api/v1/things/old", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"7"`)
		_, _ = io.WriteString(w, `{}`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	api := remote.NewAPI(server.URL, "secret")
	for name, want := range map[string][2]string{"old": {`"7"`, ""}, "new": {"", "*"}} {
		if err := api.Send(t.Context(), http.MethodPut, "/things/"+name, []byte(`{}`), nil); err != nil {
			t.Errorf("Send of %s: %v", name, err)
		}
		if got.Get("If-Match") != want[0] || got.Get("If-None-Match") != want[1] {
			t.Errorf("%s was sent with %v, want %v", name, got, want)
		}
	}
	if err := api.Get(t.Context(), "/things/new", nil); !errors.Is(err, remote.ErrAPI) {
		t.Errorf("Get of what is not there = %v", err)
	}
}
