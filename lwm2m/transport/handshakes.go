package transport

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
)

// handshakes lead those under way; a plain listener has none. They implement
// handshake.Host.
type handshakes struct {
	*handshake.Server

	listener *Listener

	mu   sync.Mutex
	rate rate
}

func (h *handshakes) init(l *Listener) (err error) {
	h.listener, h.rate.limit = l, l.options.PrefixRate
	if l.options.Credentials == nil {
		return nil
	}
	h.Server, err = handshake.New(handshake.Options{
		Host: h, Credentials: l.options.Credentials, FlightInterval: l.options.FlightInterval,
		Timeout: l.options.HandshakeTimeout, Limit: l.options.MaxHandshakes,
	})
	return err
}

// run leads them until ctx ends.
func (h *handshakes) run(ctx context.Context) {
	if h.Server != nil {
		h.Run(ctx)
	}
}

// size returns how many are under way.
func (h *handshakes) size() int {
	if h.Server == nil {
		return 0
	}
	return h.Pending()
}

// hello handles a datagram that begins with a ClientHello: a repetition belongs
// to the handshake under way, another begins a new one beside whatever
// association its address has (RFC 6347 §4.2.8).
func (h *handshakes) hello(a arrival) {
	if h.listener.table.full() {
		h.listener.stats.drop(DropAssociationCap)
		return
	}
	switch h.Hello(a.datagram, a.from.addrPort(), a.shard, time.Now()) {
	case handshake.Malformed:
		h.listener.stats.drop(DropMalformed)
	case handshake.Busy:
		h.listener.stats.drop(DropBusy)
	case handshake.Full:
		h.listener.stats.drop(DropHandshakeCap)
	case handshake.Overrun:
		h.listener.stats.drop(DropQueue)
	default: // Admit counts what it declines
	}
}

// deliver hands a datagram to the handshake under way at its address, and reports
// whether there is one.
func (h *handshakes) deliver(datagram []byte, from netip.AddrPort) bool {
	switch h.Deliver(datagram, from) {
	case handshake.Unknown:
		return false
	case handshake.Overrun:
		h.listener.stats.drop(DropQueue)
	default:
	}
	return true
}

// Send implements handshake.Host.
func (h *handshakes) Send(datagram []byte, to netip.AddrPort) {
	_ = h.listener.send(datagram, to) // counted there; flights are repeated
}

// Admit implements handshake.Host: a slot is free, and the rate of the client's
// network is within the limit.
func (h *handshakes) Admit(from netip.AddrPort, now time.Time) handshake.Place {
	h.mu.Lock()
	allowed := h.rate.allow(from.Addr(), now)
	h.mu.Unlock()
	if !allowed {
		h.listener.stats.drop(DropPrefixRate)
		return nil
	}
	s, err := h.listener.table.reserve()
	if err != nil {
		h.listener.stats.drop(DropAssociationCap)
		return nil
	}
	return &place{listener: h.listener, seat: s, from: from}
}

// A place is what a handshake will become: a seat in the table. It implements
// handshake.Place.
type place struct {
	listener *Listener
	seat     seat
	from     netip.AddrPort
	drops    uint64 // calls of Drop before the client was judged
}

// CID implements handshake.Place.
func (p *place) CID() []byte { return p.seat.cid[:] }

// Judging implements handshake.Place.
func (p *place) Judging() { p.drops = p.listener.table.drops.Load() }

// Established implements handshake.Place: it makes an association. The judgement
// may be older than a revocation.
func (p *place) Established(e *dtls.Established) (func(datagram []byte), error) {
	l := p.listener
	if err := l.establish(p.seat, e, p.from); err != nil {
		return nil, err
	}
	if l.table.drops.Load() != p.drops {
		if _, err := handshake.Judge(l.options.Credentials, e); err != nil {
			l.end(p.seat.ref, false)
			return nil, err
		}
	}
	return func(d []byte) {
		l.receiveFor(p.seat.ref, arrival{datagram: d, from: addressOf(p.from), now: l.now(), shard: l.shards[0]})
	}, nil
}

// Ended implements handshake.Place. Only clients whose address is proved have a
// place, so that forged hellos do not fill the audit.
func (p *place) Ended(reason error) {
	l := p.listener
	l.table.release(p.seat)
	if reason == nil {
		return
	}
	l.stats.refused.Add(1)
	l.options.Log.Info("handshake refused",
		slog.String("peer", p.from.String()), slog.String("reason", reason.Error()))
	l.options.Refused(p.from, reason)
}
