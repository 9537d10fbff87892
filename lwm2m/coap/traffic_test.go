package coap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
)

// weather is a medium that loses, doubles and reorders one datagram in ten.
type weather struct {
	mu   sync.Mutex
	rand *rand.Rand
	held [][]byte
}

func (w *weather) filter(d []byte) [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := append([][]byte{d}, w.held...)
	w.held = nil
	switch w.rand.IntN(30) {
	case 0:
		return nil
	case 1:
		return append(out, d)
	case 2:
		w.held = out
		return nil
	}
	return out
}

// TestTraffic lets devices and a server talk at once over a bad medium: bodies
// in both directions, notifications, slow handlers. Nothing may be lost or mixed.
func TestTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		start := func(h coap.Handler, size int) *coap.Engine {
			e := coap.New(coap.Options{Handler: h, BlockSize: size, Params: coap.Params{MaxRetransmit: 8}})
			running.Go(func() { _ = e.Run(ctx) })
			return e
		}
		server := start(&mirror{delay: time.Second}, 256)
		var wg sync.WaitGroup
		for i := range 5 {
			h := &sensor{payload: pattern(100 * i)}
			device := start(h, 16<<i)
			storm := func() coap.Filter { return (&weather{rand: rand.New(rand.NewPCG(uint64(i), 7))}).filter }
			m := coap.Medium{AtoB: storm(), BtoA: storm(), Delay: 50 * time.Millisecond}
			toServer, toDevice := coap.Join(device, server, m)
			wg.Go(func() { upload(t, device, toServer, i) })
			wg.Go(func() { listen(t, server, toDevice, device, toServer, h) })
		}
		wg.Wait()
		cancel()
		running.Wait()
	})
}

func upload(t *testing.T, e *coap.Engine, p coap.Peer, device int) {
	t.Helper()
	for n := range 20 {
		body := append(pattern(50*n), byte(device), byte(n))
		r, err := e.Do(t.Context(), p, &coap.Request{Method: coap.POST, Path: []string{"dp"}, Payload: body})
		if err != nil || r.Code != coap.Changed || !bytes.Equal(r.Payload, body) {
			t.Errorf("device %d, body %d: %+v, %v", device, n, r, err)
		}
	}
}

func listen(t *testing.T, server *coap.Engine, toDevice coap.Peer, device *coap.Engine, toServer coap.Peer, h *sensor) {
	t.Helper()
	got := make(chan string, 100)
	notify := func(r *coap.Response) { got <- string(r.Payload) }
	first, o, err := server.Observe(t.Context(), toDevice, &coap.Request{Method: coap.GET}, notify)
	if err != nil || o == nil || !bytes.Equal(first.Payload, h.payload) {
		t.Errorf("Observe = %+v, %v", first, err)
		return
	}
	for n := range 10 {
		want := fmt.Sprintf("%s %d", pattern(40*n), n)
		r := &coap.Response{Payload: []byte(want)}
		if err := device.Notify(t.Context(), toServer, h.token(0), r, true); err != nil {
			t.Errorf("Notify = %v", err)
			return
		}
		if s := <-got; s != want {
			t.Errorf("notified %q, want %q", s, want)
		}
	}
	if err := o.Cancel(t.Context()); err != nil {
		t.Errorf("Cancel = %v", err)
	}
}

// gone is a peer whose association has ended.
type gone struct{ wire }

func (*gone) Send([]byte) error { return fmt.Errorf("dtls: %w", coap.ErrClosed) }

func TestSendToClosed(t *testing.T) {
	alone(t, coap.Options{}, func(t *testing.T, e *coap.Engine, _ *wire) {
		t.Helper()
		start := time.Now()
		_, err := e.Do(t.Context(), &gone{}, &coap.Request{Method: coap.GET})
		if !errors.Is(err, coap.ErrClosed) || time.Since(start) > 0 || e.State() != (coap.State{}) {
			t.Errorf("Do = %v after %v", err, time.Since(start))
		}
	})
}
