package app

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestBoundedListener opens more connections than a listener keeps: the one too
// many is closed, and its place is there again when another goes.
func TestBoundedListener(t *testing.T) {
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const left = 16 // places, where all others are taken: fewer descriptors than a shell may open
	l := &boundedListener{Listener: inner}
	l.open.Store(maxConnections - left)
	accepted := make(chan net.Conn, left+1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	var first net.Conn
	for i := range left {
		dial()
		c := <-accepted
		if i == 0 {
			first = c
		} else {
			t.Cleanup(func() { _ = c.Close() })
		}
	}
	if _, err := dial().Read(make([]byte, 1)); err == nil {
		t.Error("one connection too many is served")
	}
	for range 2 { // closing twice counts once
		_ = first.Close()
	}
	again := dial()
	c := <-accepted
	if _, err := c.Write([]byte{1}); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(again, make([]byte, 1)); err != nil {
		t.Errorf("after another was closed: %v", err)
	}
	_ = c.Close()
	_ = l.Close()
	<-ended
}

// A hurriedWriter notes the deadline that it is given.
type hurriedWriter struct {
	http.ResponseWriter

	deadline time.Time
}

func (w *hurriedWriter) SetReadDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

func TestHurried(t *testing.T) {
	w := &hurriedWriter{ResponseWriter: httptest.NewRecorder()}
	served := false
	hurried(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true })).
		ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil))
	if left := time.Until(w.deadline); !served || left <= 0 || left > bodyTimeout {
		t.Errorf("served %v, deadline in %v, want within %v", served, left, bodyTimeout)
	}
}
