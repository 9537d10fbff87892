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

// TestAskedTooOften: who is told to ask later does so, for a minute at most in all. A
// request that is put off is the same one.
func TestAskedTooOften(t *testing.T) {
	keys := map[string]int{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/things", func(w http.ResponseWriter, r *http.Request) {
		if keys[r.Header.Get("Idempotency-Key")]++; len(keys) == 1 && keys[r.Header.Get("Idempotency-Key")] == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = io.WriteString(w, `{}`)
	})
	calls := 0
	mux.HandleFunc("GET /api/v1/{when}", func(w http.ResponseWriter, r *http.Request) {
		calls++
		w.Header().Set("Retry-After", r.PathValue("when"))
		w.WriteHeader(http.StatusTooManyRequests)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	api := remote.NewAPI(server.URL, "secret")
	if err := api.Post(t.Context(), "/things", struct{}{}, nil); err != nil || len(keys) != 1 {
		t.Errorf("Post = %v, with %d keys", err, len(keys))
	}
	for _, when := range []string{"61", "0", "-1", "soon"} {
		calls = 0
		if err := api.Get(t.Context(), "/"+when, nil); !errors.Is(err, remote.ErrAPI) || calls != 1 {
			t.Errorf("Get, told to wait %s: %v after %d calls, want an error after one", when, err, calls)
		}
	}
}
