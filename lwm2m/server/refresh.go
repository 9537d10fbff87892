package server

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/fleet"
)

// A Sign is a sign of life: all that an Update changes which tells nothing new
// (§6.2.2).
type Sign struct {
	Location Location
	At       time.Time      // microseconds
	Lifetime time.Duration  // whole seconds; 0: for ever
	Address  netip.AddrPort // where it came from
}

// A Log keeps signs of life until they are folded into the Store. Its methods may
// be called at the same time.
type Log interface {
	// Append adds a sign without waiting for the disk. It returns false if there is
	// no room, or the disk fails: then the sign has to go to the Store itself.
	Append(s Sign) bool
	// Sync makes durable what was appended before.
	Sync() error
	// Rotate begins a new file. drop removes those before, once all of their signs
	// are in the Store.
	Rotate() (drop func() error, err error)
	// Replay calls fn with the signs that the process before did not fold, the oldest
	// first.
	Replay(fn func(Sign)) error
}

// A Refresh is a Sign as the Store takes it.
type Refresh struct {
	ID        string // of the registration
	Device    fleet.ID
	Address   string
	Lifetime  time.Duration
	UpdatedAt time.Time
	ExpiresAt time.Time // zero: never
	Rhythm    time.Duration
}

// Quick reports whether ServeCoAP answers r from memory alone
// (coap.Options.Quick): Updates that only refresh, and what is refused by its path.
func (s *Server) Quick(r *coap.Request) bool {
	if len(r.Path) == 0 {
		return true
	}
	methods, ok := routes[r.Path[0]][len(r.Path)]
	if !ok || methods[r.Method] == nil {
		return true
	}
	if len(r.Path) != 2 || r.Method != coap.POST {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _, ok = s.refreshable(r)
	return ok
}

// refreshable returns the entry that an Update refreshes, and its lifetime from
// then on, if nothing else is to be done: it comes by the association that proved
// the device's identity, repeats what we know, and nobody else is at it. The caller
// holds mu.
func (s *Server) refreshable(r *coap.Request) (e *entry, lifetime uint32, ok bool) {
	if s.o.Signs == nil || len(r.Payload) > 0 || len(r.Path) != 2 {
		return nil, 0, false
	}
	if f, named := r.ContentFormat.ID(); named && f != codec.Link {
		return nil, 0, false
	}
	l, err := ParseLocation(r.Path[1])
	if err != nil {
		return nil, 0, false
	}
	e = s.locations[l]
	if e == nil || !e.proved || e.peer != r.Peer || s.turns[e.device] != nil {
		return nil, 0, false
	}
	lifetime, ok = e.repeats(r.Query)
	return e, lifetime, ok
}

// repeats reports whether the parameters of an Update are but a lifetime and what
// is known. It says no to whatever it does not understand.
func (e *entry) repeats(query []string) (lifetime uint32, ok bool) {
	lifetime = e.lifetime
	var seen struct{ lifetime, binding, queue bool }
	for _, q := range query {
		name, value, _ := strings.Cut(q, "=")
		switch {
		case name == "lt" && !seen.lifetime:
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return 0, false
			}
			lifetime, seen.lifetime = uint32(n), true
		case name == "b" && !seen.binding && value == e.form.binding:
			seen.binding = true
		case q == "Q" && !seen.queue && e.form.version != lwm2m.Version10:
			seen.queue = true
		default:
			return 0, false
		}
	}
	queue := e.form.queue
	if seen.binding {
		queue = seen.queue // it may change only together with "b"
	} else if seen.queue {
		queue = true
	}
	return lifetime, queue == e.form.queue
}

// quick answers an Update from memory, or returns nil if that cannot be.
func (s *Server) quick(r *coap.Request) *coap.Response {
	now := time.Now()
	s.mu.Lock()
	e, lifetime, ok := s.refreshable(r)
	if ok {
		ok = s.touch(e, lifetime, r.Peer.Addr(), now)
	}
	if !ok {
		s.mu.Unlock()
		return nil
	}
	again, session := e.unsettled, e.session
	s.mu.Unlock()
	return &coap.Response{
		Code: coap.Changed, Sent: s.answered(e, session, again, Event{Kind: Updated, Device: e.device}),
	}
}

// touch notes a sign of life. It returns false, and notes nothing, if the log does
// not take it. Times of a device only rise, for they tell what is newer. The caller
// holds mu.
func (s *Server) touch(e *entry, lifetime uint32, from netip.AddrPort, now time.Time) bool {
	sign := Sign{
		Location: e.location, At: time.UnixMicro(max(now.UnixMicro(), e.updated+1)),
		Lifetime: time.Duration(lifetime) * time.Second, Address: from,
	}
	if !s.o.Signs.Append(sign) {
		s.fold.refused = true
		return false
	}
	s.note(e, sign)
	return true
}

// note takes a sign over into memory. The caller holds mu.
func (s *Server) note(e *entry, sign Sign) {
	if !e.dirty {
		e.dirty = true
		if len(s.dirty) == 0 {
			s.fold.due = sign.At.Add(foldEvery)
		}
		s.dirty = append(s.dirty, e)
		if e.expires != 0 { // who looks into the Store shall not find it expired
			if before := time.UnixMicro(e.expires).Add(-foldMargin); before.Before(s.fold.due) {
				s.fold.due = before
			}
		}
	}
	e.updated, e.address = sign.At.UnixMicro(), sign.Address
	e.lifetime, e.expires = uint32(sign.Lifetime/time.Second), 0 //nolint:gosec // G115: parsed from 32 bits
	if e.lifetime > 0 {
		e.expires = e.updated + sign.Lifetime.Microseconds()
	}
	s.expiry.schedule(e)
	s.hear(e, e.updated)
}
