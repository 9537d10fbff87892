package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/web"
)

// A feed is one client of a stream.
type feed struct {
	lines *bufio.Scanner
	stop  context.CancelFunc
	err   chan error // what Serve returned
}

// watch opens a stream for events of the subject "d" and reads its greeting.
func watch(t *testing.T, s *web.Stream, lastID string) *feed {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &feed{stop: cancel, err: make(chan error, 1)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.err <- s.Serve(w, r, time.Hour, func(e web.Event) bool { return e.Subject == "d" })
	}))
	t.Cleanup(server.Close)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Last-Event-ID", lastID)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if kind := answer.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("Content-Type = %q", kind)
	}
	f.lines = bufio.NewScanner(answer.Body)
	if first := f.line(t); !strings.HasPrefix(first, "retry: ") {
		t.Fatalf("first line = %q", first)
	}
	return f
}

// line returns the next line that is not empty, "" at the end.
func (f *feed) line(t *testing.T) string {
	t.Helper()
	for f.lines.Scan() {
		if text := f.lines.Text(); text != "" {
			return text
		}
	}
	return ""
}

func event(subject string, n int) web.Event {
	return web.Event{Type: web.EventValue, Subject: subject, Data: json.RawMessage(strconv.Itoa(n))}
}

func TestStream(t *testing.T) {
	s := &web.Stream{Source: "/here"}
	s.Publish(event("d", 1)) // before anybody watches
	f := watch(t, s, "")
	s.Publish(event("other", 2))
	s.Publish(event("d", 3))
	if got := f.line(t); got != "id: 3" {
		t.Errorf("line = %q, want id: 3", got)
	}
	got := regexp.MustCompile(`"time":"[^"]*"`).ReplaceAllString(f.line(t), "TIME")
	want := `data: {"specversion":"1.0","id":"3","source":"/here","type":"device.value","subject":"d",TIME,` +
		`"datacontenttype":"application/json","data":3}`
	if got != want {
		t.Errorf("line = %q, want %q", got, want)
	}
	f.stop()
	if err := <-f.err; err != nil {
		t.Errorf("Serve after the client left = %v", err)
	}

	back := watch(t, s, "1") // comes back having seen the first
	if got := back.line(t); got != "id: 3" {
		t.Errorf("after Last-Event-ID 1: %q, want id: 3", got)
	}
	back.line(t)
	s.Close()
	if got := back.line(t); got != "" {
		t.Errorf("after Close: %q, want the end", got)
	}
	w := httptest.NewRecorder()
	err := s.Serve(w, httptest.NewRequest(http.MethodGet, "/", nil), time.Hour, func(web.Event) bool { return true })
	if !errors.Is(err, web.ErrUnavailable) || w.Body.Len() > 0 {
		t.Errorf("Serve after Close = %v, want ErrUnavailable", err)
	}
}

// TestStreamCutsTheSlow checks that a client that does not read holds nobody up
// and is cut off, to come back with Last-Event-ID.
func TestStreamCutsTheSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &web.Stream{}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stuck := &stuckWriter{ResponseRecorder: httptest.NewRecorder(), until: ctx.Done()}
		done := make(chan error)
		go func() {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
			done <- s.Serve(stuck, r, time.Hour, func(web.Event) bool { return true })
		}()
		synctest.Wait()
		for n := range 10_000 {
			s.Publish(event("d", n)) // must not block
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
}

// TestStreamKeepsAlive checks comments for proxies and the end of a long stay.
func TestStreamKeepsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &web.Stream{}
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		begin := time.Now()
		if err := s.Serve(w, r, time.Minute, func(web.Event) bool { return true }); err != nil {
			t.Errorf("Serve = %v", err)
		}
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("stayed %v, want a minute", took)
		}
		if n := strings.Count(w.Body.String(), ": still here"); n < 3 {
			t.Errorf("%d comments in a minute", n)
		}
	})
}

// A stuckWriter takes the greeting and then blocks.
type stuckWriter struct {
	*httptest.ResponseRecorder

	until <-chan struct{}
	n     int
}

func (w *stuckWriter) Write(b []byte) (int, error) {
	if w.n++; w.n > 1 {
		<-w.until
	}
	return w.ResponseRecorder.Write(b)
}

// TestStreamsOfOne has one person open streams until there is no more: others still
// get one.
func TestStreamsOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &web.Stream{}
		ctx, cancel := context.WithCancel(t.Context())
		serve := func(name string) error {
			r := httptest.NewRequestWithContext(
				web.WithActor(ctx, web.Actor{Name: name, Via: web.ViaSession}), http.MethodGet, "/", nil)
			return s.Serve(httptest.NewRecorder(), r, time.Hour, func(web.Event) bool { return true })
		}
		done := make(chan error, 300)
		for range 300 {
			go func() { done <- serve("mallory") }()
		}
		synctest.Wait()
		if len(done) < 200 {
			t.Errorf("one person has %d streams", 300-len(done))
		}
		if err := <-done; !errors.Is(err, web.ErrTooMany) {
			t.Errorf("one too many = %v", err)
		}
		go func() { done <- serve("alice") }()
		synctest.Wait()
		s.Publish(event("d", 1))
		cancel()
		synctest.Wait()
		for range len(done) {
			if err := <-done; errors.Is(err, web.ErrUnavailable) {
				t.Error("another finds no place")
			}
		}
	})
}

// A patientWriter remembers the deadline of what is written.
type patientWriter struct {
	*httptest.ResponseRecorder

	deadline time.Time
	late     int // writes without one, or with one that is long ahead
}

// SetWriteDeadline is what http.ResponseController looks for.
func (w *patientWriter) SetWriteDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

// Write implements http.ResponseWriter.
func (w *patientWriter) Write(b []byte) (int, error) {
	if left := time.Until(w.deadline); left <= 0 || left > time.Minute {
		w.late++
	}
	return w.ResponseRecorder.Write(b)
}

// TestStreamWritesWithin: each write has an end, so that who does not read gives the
// place up; the connection has none afterwards.
func TestStreamWritesWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &web.Stream{}
		w := &patientWriter{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		done := make(chan error)
		go func() { done <- s.Serve(w, r, 10*time.Minute, func(web.Event) bool { return true }) }()
		for n := range 5 {
			time.Sleep(time.Minute)
			s.Publish(event("d", n))
		}
		if err := <-done; err != nil || w.late > 0 || !w.deadline.IsZero() {
			t.Errorf("Serve = %v, %d writes without an end, then %v", err, w.late, w.deadline)
		}
	})
}

// TestStreamEndsWithRights: who may not watch any more does not go on watching.
func TestStreamEndsWithRights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, begin := &web.Stream{}, time.Now()
		may := func(context.Context) bool { return time.Since(begin) < 5*time.Minute }
		r := httptest.NewRequestWithContext(web.WithStill(t.Context(), may), http.MethodGet, "/", nil)
		if err := s.Serve(httptest.NewRecorder(), r, time.Hour, func(web.Event) bool { return true }); err != nil {
			t.Errorf("Serve = %v", err)
		}
		if took := time.Since(begin); took > 6*time.Minute {
			t.Errorf("it goes on for %v", took)
		}
	})
}
