package trial_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/cmd/internal/sim"
	"steward/cmd/internal/sim/trial"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// A world is one device and its servers, in memory: all URIs lead to one engine.
type world struct {
	t      *testing.T
	d      *trial.Device
	engine *coap.Engine // of the servers

	mu       sync.Mutex
	down     bool          // servers cannot be dialled
	cut      bool          // nothing arrives anywhere
	mute     chan struct{} // servers answer once it is closed; nil: at once
	events   []sim.Event
	requests []*coap.Request
	device   coap.Peer // as the servers see it
	devices  []coap.Peer
	dialled  []trial.Account
	write    func(w *world, p coap.Peer) // what the bootstrap server does
}

// newWorld runs a device until the test ends; call it inside a synctest bubble.
func newWorld(t *testing.T, o trial.Options) *world {
	t.Helper()
	w := &world{t: t}
	w.engine = coap.New(coap.Options{Handler: w})
	if o.Endpoint == "" {
		o.Endpoint = "a"
	}
	if o.Servers == nil && o.Bootstrap == "" {
		o.Servers = []string{"coap://server.example"}
	}
	o.Dial = w.dial
	o.Events = func(e sim.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	}
	var err error
	if w.d, err = trial.New(o); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) start() {
	ctx, stop := context.WithCancel(w.t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = w.engine.Run(ctx) })
	group.Go(func() {
		if err := w.d.Run(ctx); err != nil {
			w.t.Errorf("Run = %v", err)
		}
	})
	w.t.Cleanup(func() { stop(); group.Wait() })
	synctest.Wait()
}

func (w *world) dial(_ context.Context, e *coap.Engine, a trial.Account) (*trial.Link, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dialled = append(w.dialled, a); w.down && !a.Bootstrap {
		return nil, errors.New("nobody there")
	}
	copies := func(n int, datagram []byte) (out [][]byte) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for range n {
			if w.cut {
				return nil
			}
			out = append(out, datagram)
		}
		return out
	}
	toServer, toDevice := coap.Join(e, w.engine, coap.Medium{
		AtoB: func(b []byte) [][]byte { return copies(w.d.Out(), b) },
		BtoA: func(b []byte) [][]byte {
			if w.d.In() {
				return copies(1, b)
			}
			return nil
		},
		Delay: time.Millisecond,
	})
	if a.ShortServer != 0 || a.Bootstrap { // else it is for a download
		w.device = toDevice
	}
	w.devices = append(w.devices, toDevice)
	return &trial.Link{Peer: toServer, Close: func() {}}, nil
}

// ServeCoAP is every server.
func (w *world) ServeCoAP(ctx context.Context, r *coap.Request) *coap.Response {
	w.mu.Lock()
	if mute := w.mute; mute != nil {
		w.mu.Unlock()
		select {
		case <-mute:
		case <-ctx.Done():
		}
		w.mu.Lock()
	}
	defer w.mu.Unlock()
	w.requests = append(w.requests, r)
	switch {
	case slices.Equal(r.Path, []string{"rd"}):
		return &coap.Response{Code: coap.Created, LocationPath: []string{"rd", "1"}}
	case slices.Equal(r.Path, []string{"bs"}):
		return &coap.Response{Code: coap.Changed, Sent: func() { go w.write(w, r.Peer) }}
	case r.Method == coap.GET && slices.Equal(r.Path, []string{"package"}):
		return &coap.Response{Code: coap.Content, Payload: []byte(strings.Repeat("p", 3000))}
	case r.Method == coap.GET:
		return &coap.Response{Code: coap.NotFound}
	case r.Method == coap.DELETE:
		return &coap.Response{Code: coap.Deleted}
	default:
		return &coap.Response{Code: coap.Changed}
	}
}

// take returns what the servers were asked since.
func (w *world) take() (out []string) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.requests {
		method := map[coap.Code]string{coap.POST: "POST", coap.DELETE: "DELETE"}[r.Method]
		out = append(out, method+" /"+strings.Join(r.Path, "/")+"?"+strings.Join(r.Query, "&"))
	}
	w.requests = nil
	return out
}

func (w *world) want(when string, want ...string) {
	w.t.Helper()
	if got := w.take(); !slices.Equal(got, want) {
		w.t.Errorf("%s: asked %q, want %q", when, got, want)
	}
}

// kinds returns how often something happened.
func (w *world) kinds(k sim.Kind) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

// do asks the device.
func (w *world) do(p coap.Peer, method coap.Code, path string, format int, body []byte) *coap.Response {
	w.t.Helper()
	r := &coap.Request{Method: method, Payload: body}
	if path != "" {
		r.Path = strings.Split(path, "/")
	}
	if format >= 0 {
		r.ContentFormat = coap.FormatID(uint16(format))
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 300*time.Second)
	defer cancel()
	response, err := w.engine.Do(ctx, p, r)
	if err != nil {
		w.t.Logf("%s %s: %v", method, path, err)
		return &coap.Response{}
	}
	return response
}

func (w *world) peer() coap.Peer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.device
}

func (w *world) expect(method coap.Code, path, body string, want coap.Code) *coap.Response {
	w.t.Helper()
	format := -1
	if body != "" {
		format = int(codec.Text)
	}
	r := w.do(w.peer(), method, path, format, []byte(body))
	if r.Code != want {
		w.t.Errorf("%s %s = %s, want %s", method, path, r.Code, want)
	}
	return r
}
