package server

import (
	"context"
	"errors"
	"strings"

	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

var (
	// ErrUnreachable reports a registered device whose association is gone: it can
	// be reached after its next message.
	ErrUnreachable = errors.New("device has no live association")
	// ErrEnded reports an operation that was under way when the device registered
	// anew, came back by another association, or left (§6.2.1). Whether the device
	// performed it is unknown.
	ErrEnded = errors.New("registration ended during the operation")
)

// A call is one operation on a device: its session as it was at the beginning.
type call struct {
	entry        *entry
	session      uint32
	peer         coap.Peer
	registration Registration
	cancel       context.CancelCauseFunc
	heard        int64 // when the device answered last, Unix microseconds; 0: it has not
	before, next *call // in entry.calls; guarded by Server.mu
}

// reach begins an operation, which finish ends. The context that it returns
// ends with the session, by ErrEnded. It returns ErrNotRegistered, an
// *AsleepError or ErrUnreachable, and waits while the answer to a Register is on its way: before
// it no request may be sent (§6.2.1).
func (s *Server) reach(ctx context.Context, device fleet.ID) (context.Context, *call, error) {
	s.mu.Lock()
	e := s.devices[device]
	if e != nil {
		if err := s.asleep(e); err != nil {
			s.mu.Unlock()
			return nil, nil, err
		}
	}
	if e == nil || e.peer == nil {
		s.mu.Unlock()
		if err := s.find(ctx, device); err != nil {
			return nil, nil, err
		}
		s.mu.Lock()
		if e = s.devices[device]; e == nil || e.peer == nil { // gone again
			s.mu.Unlock()
			return nil, nil, ErrUnreachable
		}
	}
	limited, cancel := context.WithCancelCause(ctx)
	c := &call{entry: e, session: e.session, peer: e.peer, registration: e.registration(), cancel: cancel, next: e.calls}
	if e.calls != nil {
		e.calls.before = c
	}
	e.calls = c
	pass := e.pass
	s.mu.Unlock()
	if pass == nil {
		return limited, c, nil
	}
	select {
	case <-pass:
		return limited, c, nil
	case <-limited.Done():
		s.finish(c)
		return nil, nil, context.Cause(limited)
	}
}

// finish ends an operation.
func (s *Server) finish(c *call) {
	s.mu.Lock()
	if c.heard != 0 {
		s.hear(c.entry, c.heard)
	}
	if c.entry.calls == c {
		c.entry.calls = c.next
	}
	if c.before != nil {
		c.before.next = c.next
	}
	if c.next != nil {
		c.next.before = c.before
	}
	s.mu.Unlock()
	c.cancel(nil)
}

// why returns ErrEnded in place of the error of a context that the end of a
// session ended.
func why(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), ErrEnded) {
		return ErrEnded
	}
	return err
}

// open lets requests to the device of a session pass, once the answer to its own
// has left.
func (s *Server) open(e *entry, session uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.session == session && e.pass != nil {
		close(e.pass)
		e.pass = nil
	}
}

// A proof says that Identify named the device of an association.
type proof struct {
	peer   coap.Peer
	doubts uint64 // Server.doubts when it was asked
}

// adopt makes reg the registration of its device, and the association that was
// proved the way to it in place of any other. If both are the same as before (an
// Update by the same association), the session goes on and adopt returns false.
// Otherwise observations are to be established, after open. The caller has the turn.
func (s *Server) adopt(by proof, reg Registration, found bool) (e *entry, session uint32, returned bool) {
	var gone remains
	s.mu.Lock()
	if old := s.devices[reg.Device]; old != nil && (old.peer != by.peer || old.location.String() != reg.ID) {
		gone = s.forget(old)
	}
	e = s.keep(reg)
	if returned = e.peer == nil; returned {
		if other := s.peers[by.peer]; other != nil { // one association, one device: the later name counts
			gone.add(s.forget(other))
		}
		s.peers[by.peer] = e
		e.peer, e.pass = by.peer, make(chan struct{})
		e.session++
	}
	e.proved = by.doubts == s.doubts
	session = e.session
	e.found = e.found || found && returned
	s.mu.Unlock()
	gone.bury()
	return e, session, returned
}

// prove begins a proof: what is asked of Identify after it counts.
func (s *Server) prove(p coap.Peer) proof {
	s.mu.Lock()
	defer s.mu.Unlock()
	return proof{p, s.doubts}
}

// Doubt tells the server that a device is no longer what it was: whether its
// association may go on is asked of Identify at its next message.
func (s *Server) Doubt(device fleet.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doubts++ // proofs under way are doubtful, whoever they are of
	if e := s.devices[device]; e != nil {
		e.proved = false
	}
}

// drop forgets the registration id of a device, if it is the present one.
func (s *Server) drop(device fleet.ID, id string) {
	var gone remains
	s.mu.Lock()
	if e := s.devices[device]; e != nil && e.location.String() == id {
		gone = s.discard(e)
	}
	s.mu.Unlock()
	gone.bury()
}

// Closed tells the server that an association ended: the device behind it is
// unreachable until it speaks again. It is made for coap.Options.Closed.
func (s *Server) Closed(p coap.Peer) {
	var gone remains
	s.mu.Lock()
	if e := s.peers[p]; e != nil {
		gone = s.forget(e)
	}
	s.mu.Unlock()
	gone.bury()
}

// remains are what a session leaves.
type remains struct {
	calls   []*call
	watches []*coap.Observation
}

// forget ends the session of an entry, if it has one. The caller holds mu, and
// buries the remains without it.
func (s *Server) forget(e *entry) (gone remains) {
	if e.peer == nil {
		return gone
	}
	delete(s.peers, e.peer)
	delete(s.refusals, e.device)
	for c := e.calls; c != nil; c = c.next {
		gone.calls = append(gone.calls, c)
	}
	for w := e.watches; w != nil; w = w.next {
		w.gone = true
		if w.observation != nil {
			gone.watches = append(gone.watches, w.observation)
		}
	}
	e.peer, e.watches, e.pass, e.proved, e.unsettled = nil, nil, nil, false, false
	return gone
}

func (r *remains) add(more remains) {
	r.calls = append(r.calls, more.calls...)
	r.watches = append(r.watches, more.watches...)
}

// bury fails pending operations and forgets observations (§6.2.1).
func (r *remains) bury() {
	for _, c := range r.calls {
		c.cancel(ErrEnded)
	}
	for _, o := range r.watches {
		o.Forget()
	}
}

// Reachable reports whether the device has a live association.
func (s *Server) Reachable(device fleet.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.devices[device]
	return e != nil && e.peer != nil
}

// Device returns the device whose registration came by an association, or by whose
// association it was found, and whether there is one.
func (s *Server) Device(p coap.Peer) (fleet.ID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.peers[p]
	if e == nil {
		return "", false
	}
	return e.device, true
}

// Transport returns the URI scheme of the device's live association, such as
// "coaps+tcp"; "" without one.
func (s *Server) Transport(device fleet.ID) string {
	s.mu.Lock()
	e := s.devices[device]
	var p coap.Peer
	if e != nil {
		p = e.peer
	}
	s.mu.Unlock()
	if p == nil {
		return ""
	}
	scheme, _, _ := strings.Cut(p.String(), "://")
	return scheme
}
