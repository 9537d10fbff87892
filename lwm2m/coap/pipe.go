package coap

import (
	"net/netip"
	"slices"
	"time"
)

// A Filter sees each datagram of one direction and returns those that arrive
// in its place, now and in that order: none for a loss, two for a duplicate; it
// may hold one back and return it later. It may be called at the same time by
// several goroutines.
type Filter func(datagram []byte) [][]byte

// A Medium is what lies between two engines. The zero Medium loses nothing,
// takes no time and identifies nobody.
type Medium struct {
	AtoB, BtoA Filter        // nil: everything passes
	A, B       Identity      // what b sees of a, what a sees of b
	Delay      time.Duration // from Send to Receive
}

// A PipeEnd is a peer in memory: what one engine sees of another.
type PipeEnd struct {
	name     string
	addr     netip.AddrPort
	identity Identity
	delay    time.Duration
	filter   Filter
	to       *Engine
	from     *PipeEnd // by which the other engine sees the sender
}

// Join connects two engines in memory. toB is the peer by which a sees b, toA
// that by which b sees a. Engines may be joined to any number of others.
// Without Delay a datagram is received within Send, and no goroutine is
// started; with it time.AfterFunc does.
func Join(a, b *Engine, m Medium) (toB, toA *PipeEnd) {
	toB = &PipeEnd{name: "pipe b", identity: m.B, to: b, filter: m.AtoB, delay: m.Delay}
	toA = &PipeEnd{name: "pipe a", identity: m.A, to: a, filter: m.BtoA, delay: m.Delay, from: toB}
	toB.from = toA
	toA.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 5683)
	toB.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 2}), 5683)
	return toB, toA
}

// Pipe makes two engines and joins them by the zero Medium. Whoever needs
// their timers runs both.
func Pipe(a, b Options) (ea, eb *Engine, toB, toA *PipeEnd) {
	ea, eb = New(a), New(b)
	toB, toA = Join(ea, eb, Medium{})
	return ea, eb, toB, toA
}

// Send delivers a copy of datagram, through the filter, to the other engine.
func (p *PipeEnd) Send(datagram []byte) error {
	arriving := [][]byte{slices.Clone(datagram)}
	if p.filter != nil {
		arriving = p.filter(arriving[0])
	}
	for _, d := range arriving {
		if p.delay > 0 {
			time.AfterFunc(p.delay, func() { p.to.Receive(p.from, d) })
			continue
		}
		p.to.Receive(p.from, d)
	}
	return nil
}

// Identity returns what the Medium says of the engine behind p.
func (p *PipeEnd) Identity() Identity { return p.identity }

// Addr returns an address of the range for documentation.
func (p *PipeEnd) Addr() netip.AddrPort { return p.addr }

// String names the end.
func (p *PipeEnd) String() string { return p.name }
