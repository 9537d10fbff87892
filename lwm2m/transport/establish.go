package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// ErrName reports an identity whose name is too long to be kept.
var ErrName = errors.New("transport: overlong name of a peer")

// ErrRole reports an identity of a class that associations do not have.
var ErrRole = errors.New("transport: unknown class of a peer")

// establish makes an association of a seat and of the handshake that it was
// reserved for, which has its identifier or none, and ends the one that it
// replaces. It returns ErrNoRoom, ErrName or ErrRole, and then the seat is still reserved.
func (l *Listener) establish(s seat, e *dtls.Established, from netip.AddrPort) error {
	if len(e.Identity.Name) > maxName {
		return fmt.Errorf("%w: %d bytes", ErrName, len(e.Identity.Name))
	}
	if !slices.Contains(roles[:], e.Identity.Role) { // it would be kept as none
		return fmt.Errorf("%w: role %q", ErrRole, e.Identity.Role)
	}
	n := l.table.names.put(e.Identity)
	now := l.now()
	if len(e.LastFlight) > 0 {
		l.flights.keep(s.ref, e.LastFlight, now)
	}
	l.bindings.keep(s.ref, e, now)
	replaced, replaces, err := l.table.occupy(s.ref, addressOf(from), func(r *row) {
		r.session, r.name, r.seen, r.born, r.forged, r.marks, r.shard = e.Session, n, now, now, 0, 0, 0
		if _, has := e.Session.CID(); has {
			r.marks |= hasCID
		}
		if len(e.LastFlight) > 0 {
			r.marks |= inFlight
		}
	})
	if err != nil {
		l.flights.drop(s.ref)
		l.bindings.drop(s.ref)
		l.table.names.drop(n)
		return err
	}
	l.stats.handshakes.Add(1)
	if err := l.keeper.add(l, s.ref, e.Identity.Role); err != nil {
		l.options.Log.Warn("association will not survive a restart",
			slog.String("peer", from.String()), slog.Any("reason", err))
	}
	if replaces {
		l.end(replaced, false) // its peer has lost it, a close_notify would tell nobody
	}
	return nil
}

// keptRole reports whether associations of a class are kept.
func keptRole(r coap.Role) bool {
	return r == coap.RoleOperational || r == coap.RolePSK || r == coap.RoleRawKey
}
