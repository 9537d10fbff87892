package coap_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"steward/lwm2m/coap"
)

// TestQuick sees a quick request answered before Receive returns, and another
// not.
func TestQuick(t *testing.T) {
	o := coap.Options{
		Handler: slow(time.Millisecond),
		Quick:   func(r *coap.Request) bool { return r.Method == coap.POST },
	}
	alone(t, o, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		for id, method := range []coap.Code{coap.POST, coap.GET, coap.POST} {
			e.Receive(w, encode(t, coap.Message{Code: method, ID: uint16(id)}))
			if n := len(w.take(t)); (n == 1) != (method == coap.POST) {
				t.Errorf("%v: %d answers within Receive", method, n)
			}
			time.Sleep(2 * time.Millisecond)
			if n := len(w.take(t)); (n == 1) != (method == coap.GET) {
				t.Errorf("%v: %d answers later", method, n)
			}
		}
	})
}

// TestWorkers sees goroutines grow with the requests under way, serve again,
// and end.
func TestWorkers(t *testing.T) {
	var started atomic.Int32
	h := coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
		started.Add(1)
		return slow(time.Second).ServeCoAP(ctx, r)
	})
	alone(t, coap.Options{Handler: h}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		for round, want := range []int{5, 8, 8} {
			for id := range uint16(want) {
				receive(t, e, w, coap.Message{Code: coap.GET, ID: uint16(round)<<8 | id})
			}
			time.Sleep(2 * time.Second)
			if s := e.State(); s.Workers != want || s.Handlers != 0 {
				t.Errorf("round %d: %+v, want %d workers", round, s, want)
			}
		}
		receive(t, e, w, coap.Message{Code: coap.GET, ID: 0xffff})
		time.Sleep(9500 * time.Millisecond)
		if s := e.State(); s.Workers != 1 {
			t.Errorf("after a rest: %+v, want the latest", s)
		}
		time.Sleep(10 * time.Second)
		if s := e.State(); s.Workers != 0 || started.Load() != 22 {
			t.Errorf("at rest: %+v, %d served", s, started.Load())
		}
	})
}
