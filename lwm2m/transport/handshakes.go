package transport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"steward/lwm2m/dtls"
)

// supersedeAfter is how long a handshake must have heard nothing before a
// ClientHello with another random takes its place: a device that restarted in
// the middle of one gets in, a forger cannot cut short one that is alive.
const supersedeAfter = time.Second

// A handshake is one under way, found by its address.
type handshake struct {
	link   *dtls.Link
	random [32]byte
	heard  atomic.Int64 // Unix nanoseconds
	cancel context.CancelFunc
}

// handshakes are those under way, and what admits new ones.
type handshakes struct {
	limit int
	rate  rate

	mu      sync.Mutex
	byAddr  map[netip.AddrPort]*handshake
	running int // superseded ones included
}

func (h *handshakes) init(limit, perPrefix int) {
	h.limit = limit
	h.rate.limit = perPrefix
	h.byAddr = make(map[netip.AddrPort]*handshake)
}

func (h *handshakes) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running
}

func (h *handshakes) at(addr netip.AddrPort) *handshake {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byAddr[addr]
}

// admit enters n at addr, or says why not.
func (h *handshakes) admit(n *handshake, addr netip.AddrPort, now time.Time) DropReason {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.running >= h.limit:
		return DropHandshakeCap
	case h.byAddr[addr] != nil: // another reader was first
		return DropBusy
	case !h.rate.allow(addr.Addr(), now):
		return DropPrefixRate
	}
	h.byAddr[addr] = n
	h.running++
	return ""
}

// forget ends n's claim on addr.
func (h *handshakes) forget(n *handshake, addr netip.AddrPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byAddr[addr] == n {
		delete(h.byAddr, addr)
	}
}

// done gives n's place to others.
func (h *handshakes) done(n *handshake, addr netip.AddrPort) {
	h.forget(n, addr)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running--
}

// hello handles a datagram that begins with a ClientHello: a repetition belongs
// to the handshake under way, another begins a new one beside whatever
// association its address has (RFC 6347 §4.2.8).
func (l *Listener) hello(ctx context.Context, datagram []byte, h dtls.Hello, from netip.AddrPort) {
	now := time.Now()
	if p := l.pending.at(from); p != nil {
		if p.random == h.Random {
			l.deliver(p, datagram, now)
			return
		}
		if now.UnixNano()-p.heard.Load() < int64(supersedeAfter) {
			l.stats.drop(DropBusy)
			return
		}
		l.pending.forget(p, from)
		p.cancel()
	}
	if h.Message != 0 {
		l.stats.drop(DropUnknownAddress) // an answer to a cookie nobody sent
		return
	}
	if l.table.full() {
		l.stats.drop(DropAssociationCap)
		return
	}
	l.begin(ctx, datagram, h, from, now)
}

// begin starts a handshake, if it is admitted.
func (l *Listener) begin(ctx context.Context, datagram []byte, h dtls.Hello, from netip.AddrPort, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, l.options.HandshakeTimeout)
	p := &handshake{random: h.Random, cancel: cancel}
	p.link = dtls.NewLink(l.socket.LocalAddr(), net.UDPAddrFromAddrPort(from), func(d []byte) {
		_ = l.send(d, from) // counted there; flights are repeated
	})
	if r := l.pending.admit(p, from, now); r != "" {
		cancel()
		l.stats.drop(r)
		return
	}
	l.deliver(p, datagram, now)
	l.tasks.Go(func() {
		defer cancel()
		defer l.pending.done(p, from)
		if err := l.accept(ctx, p, from); err != nil {
			l.refuse(ctx, p, from, err)
		}
	})
}

func (l *Listener) deliver(p *handshake, datagram []byte, now time.Time) {
	p.heard.Store(now.UnixNano())
	if !p.link.Deliver(datagram) {
		l.stats.drop(DropQueue)
	}
}

// accept leads the handshake and makes an association of it.
func (l *Listener) accept(ctx context.Context, p *handshake, from netip.AddrPort) error {
	drops := l.table.drops.Load()
	s, err := l.table.reserve()
	if err != nil {
		p.link.Drain()
		return err
	}
	defer l.table.release(s) // unless it has become an association
	e, err := dtls.Accept(ctx, p.link, dtls.AcceptOptions{
		Credentials: l.options.Credentials, CID: func() []byte { return s.cid[:] },
		FlightInterval: l.options.FlightInterval,
	})
	if err != nil {
		p.link.Drain()
		return err
	}
	if err := l.establish(s, &e, from); err != nil {
		p.link.Drain()
		return err
	}
	l.pending.forget(p, from)
	if l.table.drops.Load() != drops { // the judgement may be older than a revocation
		if _, err := l.options.Credentials.Identify(e.Chain, e.PSKIdentity); err != nil {
			l.end(s.ref, true)
			return errors.Join(dtls.ErrRefused, err)
		}
	}
	for _, d := range p.link.Drain() {
		l.receiveFor(s.ref, arrival{datagram: d, from: addressOf(from), now: l.now()}) //nolint:contextcheck // what a message starts is the engine's
	}
	return nil
}

// refuse reports a failed handshake, if its peer proved to be at its address:
// otherwise forged ClientHellos would fill the audit.
func (l *Listener) refuse(ctx context.Context, p *handshake, from netip.AddrPort, reason error) {
	l.stats.refused.Add(1)
	proved := p.link.Proved() || errors.Is(reason, dtls.ErrRefused) // nobody is judged before the cookie
	if !proved || errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	l.options.Log.LogAttrs(ctx, slog.LevelInfo, "handshake refused",
		slog.String("peer", from.String()), slog.String("reason", reason.Error()))
	l.options.Refused(from, reason)
}
