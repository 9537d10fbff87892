package coap

import (
	"context"
	"errors"
	"net/netip"
)

var errNotBuilt = errors.New("not implemented yet")

func szxOf(size int) (uint8, bool) {
	for s := range uint8(7) {
		if 16<<s == size {
			return s, true
		}
	}
	return 0, false
}

// An Engine holds the exchange state of all peers of one process side.
type Engine struct{ o Options }

// New returns an Engine; it panics on invalid Options (ErrConfig), which are
// always known where they are written.
func New(o Options) *Engine {
	r, err := o.resolved()
	if err != nil {
		panic(err)
	}
	return &Engine{o: r}
}

// Run drives all timers until ctx ends; it returns when the last handler has.
func (e *Engine) Run(ctx context.Context) error { return errNotBuilt }

// Receive takes one datagram from p. It never blocks on handlers and does not retain datagram.
func (e *Engine) Receive(p Peer, datagram []byte) {}

// Closed ends all that is in flight with p.
func (e *Engine) Closed(p Peer) {}

// Do sends r to p and returns the response.
func (e *Engine) Do(ctx context.Context, p Peer, r *Request) (*Response, error) {
	return nil, errNotBuilt
}

// Ping sends an empty CON and waits for its reset.
func (e *Engine) Ping(ctx context.Context, p Peer) error { return errNotBuilt }

// Observe registers an observation. o is nil if the peer answered without one.
func (e *Engine) Observe(ctx context.Context, p Peer, r *Request, notify func(*Response)) (first *Response, o *Observation, err error) {
	return nil, nil, errNotBuilt
}

// An Observation is one registered with a peer.
type Observation struct{}

// Cancel deregisters (GET Observe 1) and forgets.
func (o *Observation) Cancel(ctx context.Context) error { return errNotBuilt }

// Forget drops the observation; the next notification is reset.
func (o *Observation) Forget() {}

// Notify sends a notification to the observer (p, token).
func (e *Engine) Notify(ctx context.Context, p Peer, token []byte, r *Response, confirmable bool) error {
	return errNotBuilt
}

// A Filter sees each datagram of a pipe and returns what arrives; nil passes all.
type Filter func(datagram []byte) [][]byte

// A PipeEnd is the Peer of an engine that talks through a Pipe.
type PipeEnd struct{ e *Engine }

// Send queues the datagram for the other engine.
func (p *PipeEnd) Send(datagram []byte) error { return errNotBuilt }

// Identity returns the identity given to the end.
func (p *PipeEnd) Identity() Identity { return Identity{} }

// Addr returns a documentation address.
func (p *PipeEnd) Addr() netip.AddrPort { return netip.AddrPort{} }

// String names the end.
func (p *PipeEnd) String() string { return "pipe" }

// A Medium is what lies between two engines. The zero Medium loses nothing and
// identifies nobody.
type Medium struct {
	AtoB, BtoA Filter   // nil: everything passes
	A, B       Identity // what a's peer, b's peer proved: A is what b sees of a
}

// Join connects two engines in memory. toB is the peer by which a sees b, toA
// that by which b sees a.
func Join(a, b *Engine, m Medium) (toB, toA *PipeEnd) { return &PipeEnd{}, &PipeEnd{} }

// Pipe makes two engines and joins them by a perfect medium.
func Pipe(a, b Options) (ea, eb *Engine, toB, toA *PipeEnd) {
	ea, eb = New(a), New(b)
	toB, toA = Join(ea, eb, Medium{})
	return ea, eb, toB, toA
}
