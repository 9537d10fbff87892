package server

import (
	"context"

	"steward/lwm2m/fleet"
)

// A turn is the right to change the registration of a device. It exists while
// somebody has it or waits for it.
type turn struct {
	held  chan struct{} // holds one
	users int           // who have it or wait; guarded by Server.mu
}

// turn waits until nothing else changes the registration of the device, so that
// store and memory change in the same order.
func (s *Server) turn(ctx context.Context, device fleet.ID) (release func(), err error) {
	s.mu.Lock()
	t := s.turns[device]
	if t == nil {
		t = &turn{held: make(chan struct{}, 1)}
		s.turns[device] = t
	}
	t.users++
	s.mu.Unlock()
	select {
	case t.held <- struct{}{}:
		return func() { <-t.held; s.leave(device, t) }, nil
	case <-ctx.Done():
		s.leave(device, t)
		return nil, ctx.Err()
	}
}

func (s *Server) leave(device fleet.ID, t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(s.turns, device)
	}
}
