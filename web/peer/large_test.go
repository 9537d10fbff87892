package peer_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"steward/transfer/coordinator"
	"steward/web/peer"
)

// TestLargeRequests: a partner may send two large bodies at a time, and small ones
// beside them.
func TestLargeRequests(t *testing.T) {
	own := certificate(t)
	f := &fake{pinned: coordinator.SPKI(own.Leaf)}
	c, base := client(t, own), serve(t, f)+peer.Prefix+"/transfers"
	transport, ok := c.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("transport %T", c.Transport)
	}
	transport.ExpectContinueTimeout = time.Minute
	const length = 1 << 20
	var ends []*io.PipeWriter
	done := make(chan struct{}, 2)
	for range 2 {
		r, w := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base, r)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		req.Header.Set("Content-Type", coordinator.TypeSubmission)
		req.Header.Set("Expect", "100-continue") // nothing is sent before somebody reads it
		go func() {
			if res, err := c.Do(req); err == nil {
				_ = res.Body.Close()
			}
			done <- struct{}{}
		}()
		if _, err := w.Write(make([]byte, length/2)); err != nil { // it is being read
			t.Fatal(err)
		}
		ends = append(ends, w)
	}
	third, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base, bytes.NewReader(make([]byte, length)))
	if err != nil {
		t.Fatal(err)
	}
	third.Header.Set("Content-Type", coordinator.TypeSubmission)
	third.Header.Set("Expect", "100-continue") // or the connection may end before the answer is read
	res, err := c.Do(third)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a third = %s, want 429", res.Status)
	}
	if got, text := do(t, c, http.MethodPost, base+"/ab/offer", coordinator.TypeCOSE, []byte("b")); got != 204 {
		t.Errorf("a small one beside them = %d %s", got, text)
	}
	for _, w := range ends {
		if _, err := w.Write(make([]byte, length/2)); err != nil {
			t.Error(err)
		}
		_ = w.Close()
		<-done
	}
	if got, text := do(t, c, http.MethodPost, base, coordinator.TypeSubmission, make([]byte, length)); got != 204 {
		t.Errorf("afterwards = %d %s", got, text)
	}
}
