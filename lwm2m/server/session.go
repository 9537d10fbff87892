package server

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"

	"steward/lwm2m"
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

// A session is a registered device that can be reached now. Server.mu guards
// all but the first two fields.
type session struct {
	peer coap.Peer
	open func() // lets requests pass, once the answer to the device's own has left
	pass chan struct{}

	registration Registration
	watches      map[lwm2m.Path]*watch // nil once the session is over
	calls        map[*call]struct{}
	unsettled    bool // an observation failed and is to be tried at the next message
}

func newSession(p coap.Peer, reg Registration) *session {
	pass := make(chan struct{})
	return &session{
		peer: p, open: sync.OnceFunc(func() { close(pass) }), pass: pass, registration: reg,
		watches: map[lwm2m.Path]*watch{}, calls: map[*call]struct{}{},
	}
}

// A call is one operation on a device: its session as it was at the beginning.
type call struct {
	session      *session
	peer         coap.Peer
	registration Registration
	cancel       context.CancelCauseFunc
}

// reach begins an operation, which finish ends. The context that it returns
// ends with the session, by ErrEnded. It returns ErrNotRegistered or
// ErrUnreachable, and waits while the answer to a Register is on its way: before
// it no request may be sent (§6.2.1).
func (s *Server) reach(ctx context.Context, device fleet.ID) (context.Context, *call, error) {
	s.mu.Lock()
	live := s.live[device]
	if live == nil {
		s.mu.Unlock()
		if err := s.find(ctx, device); err != nil {
			return nil, nil, err
		}
		s.mu.Lock()
		if live = s.live[device]; live == nil { // gone again
			s.mu.Unlock()
			return nil, nil, ErrUnreachable
		}
	}
	limited, cancel := context.WithCancelCause(ctx)
	c := &call{session: live, peer: live.peer, registration: live.registration, cancel: cancel}
	live.calls[c] = struct{}{}
	s.mu.Unlock()
	select {
	case <-live.pass:
		return limited, c, nil
	case <-limited.Done():
		s.finish(c)
		return nil, nil, context.Cause(limited)
	}
}

// finish ends an operation.
func (s *Server) finish(c *call) {
	s.mu.Lock()
	delete(c.session.calls, c)
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

// turn waits until nothing else changes the registration of the device, so that
// store and sessions change in the same order.
func (s *Server) turn(ctx context.Context, device fleet.ID) (release func(), err error) {
	t := s.turns[maphash.String(s.seed, string(device))%turns]
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// adopt makes p the way to the device in place of any other. If the session is
// the same as before (an Update by the same association) it takes over the
// registration and returns false. Otherwise observations are to be established,
// after open. The caller has the turn.
func (s *Server) adopt(p coap.Peer, reg Registration) (live *session, returned bool) {
	s.mu.Lock()
	if old := s.live[reg.Device]; old != nil && old.peer == p && old.registration.ID == reg.ID {
		old.registration = reg
		s.mu.Unlock()
		return old, false
	}
	gone := s.forget(reg.Device)
	if other, ok := s.peers[p]; ok { // one association, one device: the later name counts
		gone.add(s.forget(other))
	}
	live = newSession(p, reg)
	s.live[reg.Device], s.peers[p] = live, reg.Device
	s.mu.Unlock()
	gone.bury()
	return live, true
}

// drop ends the session of the device if it belongs to the registration id.
func (s *Server) drop(device fleet.ID, id string) {
	var gone remains
	s.mu.Lock()
	if live := s.live[device]; live != nil && live.registration.ID == id {
		gone = s.forget(device)
	}
	s.mu.Unlock()
	gone.bury()
}

// Closed tells the server that an association ended: the device behind it is
// unreachable until it speaks again. It is made for coap.Options.Closed.
func (s *Server) Closed(p coap.Peer) {
	var gone remains
	s.mu.Lock()
	if device, ok := s.peers[p]; ok {
		gone = s.forget(device)
	}
	s.mu.Unlock()
	gone.bury()
}

// remains are what a session leaves.
type remains struct {
	calls   []*call
	watches []*coap.Observation
}

// forget takes the session of a device, if any, out of the tables. The caller
// holds mu, and buries the remains without it.
func (s *Server) forget(device fleet.ID) (gone remains) {
	live := s.live[device]
	if live == nil {
		return gone
	}
	delete(s.live, device)
	delete(s.peers, live.peer)
	for c := range live.calls {
		gone.calls = append(gone.calls, c)
	}
	for _, w := range live.watches {
		if w.observation != nil {
			gone.watches = append(gone.watches, w.observation)
		}
	}
	live.calls, live.watches = nil, nil
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
	return s.live[device] != nil
}
