package transport_test

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// site is a listener with its engine, running.
type site struct {
	*transport.Listener
	engine *coap.Engine
	served atomic.Int64

	mu       sync.Mutex
	last     coap.Peer
	refusals []error
}

// serve answers POST with its payload, and GET with the peer's name.
func (s *site) serve(_ context.Context, r *coap.Request) *coap.Response {
	s.served.Add(1)
	s.mu.Lock()
	s.last = r.Peer
	s.mu.Unlock()
	if r.Method == coap.POST {
		return &coap.Response{Code: coap.Changed, Payload: r.Payload}
	}
	return &coap.Response{Code: coap.Content, Payload: []byte(r.Peer.Identity().Name)}
}

func (s *site) peer() coap.Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *site) refused(_ netip.AddrPort, reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals = append(s.refusals, reason)
}

func (s *site) refusal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refusals) == 0 {
		return nil
	}
	return s.refusals[len(s.refusals)-1]
}

func (s *site) allRefusals() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refusals)
}

// fast are CoAP parameters that make a lost datagram cheap.
var fast = coap.Params{AckTimeout: 100 * time.Millisecond}

// newSite starts a listener; change adapts its options.
func newSite(tb testing.TB, c dtls.Credentials, change func(*transport.ListenOptions)) *site {
	tb.Helper()
	s := &site{}
	s.engine = coap.New(coap.Options{Handler: coap.HandlerFunc(s.serve), Params: fast})
	o := transport.ListenOptions{
		Addr: "127.0.0.1:0", Credentials: c, Engine: s.engine, Refused: s.refused,
		FlightInterval: 100 * time.Millisecond, HandshakeTimeout: 10 * time.Second,
	}
	if change != nil {
		change(&o)
	}
	l, err := transport.Listen(o)
	if err != nil {
		tb.Fatal(err)
	}
	s.Listener = l
	run(tb, s.engine.Run)
	run(tb, l.Run)
	return s
}

// run runs f until the test ends.
func run(tb testing.TB, f func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && ctx.Err() == nil {
			tb.Errorf("Run = %v", err)
		}
	})
}

// newEngine starts a device's engine, which answers GET with "device".
func newEngine(tb testing.TB) *coap.Engine {
	tb.Helper()
	e := coap.New(coap.Options{Params: fast, Handler: coap.HandlerFunc(
		func(context.Context, *coap.Request) *coap.Response {
			return &coap.Response{Code: coap.Content, Payload: []byte("device")}
		})})
	run(tb, e.Run)
	return e
}

// newPatientEngine starts a device's engine that sends nothing twice, however slow the machine is.
func newPatientEngine(tb testing.TB) *coap.Engine {
	tb.Helper()
	e := coap.New(coap.Options{Params: coap.Params{AckTimeout: time.Minute}, Handler: coap.HandlerFunc(
		func(context.Context, *coap.Request) *coap.Response {
			return &coap.Response{Code: coap.Content, Payload: []byte("device")}
		})})
	run(tb, e.Run)
	return e
}

func dial(tb testing.TB, e *coap.Engine, uri string, c dtls.ClientOptions) *transport.Conn {
	tb.Helper()
	conn, err := transport.Dial(tb.Context(), transport.DialOptions{
		URI: uri, Client: c, Engine: e, FlightInterval: 100 * time.Millisecond,
	})
	if err != nil {
		tb.Fatalf("Dial(%s) = %v", uri, err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (s *site) uri() string { return "coaps://" + s.Addr().String() }

// do sends a request and returns the payload of a successful answer.
func do(tb testing.TB, e *coap.Engine, p coap.Peer, method coap.Code, payload string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	r, err := e.Do(ctx, p, &coap.Request{Method: method, Path: []string{"x"}, Payload: []byte(payload)})
	if err != nil {
		tb.Fatalf("Do(%s) = %v", p, err)
	}
	return string(r.Payload)
}

// eventually waits for a condition that goroutines bring about.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("%s: not within 30 s", what)
		}
	}
}
