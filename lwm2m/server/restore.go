package server

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// Returned tells the server that a device has spoken over an association of an
// earlier run of the program. Its registration goes on, and its observations are
// established anew, for what it notifies is of observations nobody knows any
// more. A peer without a registration is no error.
func (s *Server) Returned(ctx context.Context, p coap.Peer) error {
	from, err := s.sender(ctx, p)
	if errors.Is(err, ErrNotRegistered) {
		return nil
	}
	if err != nil {
		return err
	}
	if from.returned {
		s.open(from.entry, from.session)
	}
	if from.returned || s.isUnsettled(from.entry) {
		s.establish(from.entry.device)
	}
	return nil
}

// disowned reports whether an answer says that the device does not use the association
// any more by which it was found, since it has made another: it answers 4.01 there. The
// session ends then, and the device can be reached when it speaks.
func (s *Server) disowned(c *call, res *coap.Response) bool {
	if res.Code != coap.Unauthorized {
		return false
	}
	var gone remains
	s.mu.Lock()
	is := c.entry.found && c.entry.session == c.session
	if is {
		gone = s.forget(c.entry)
		gone.calls = slices.DeleteFunc(gone.calls, func(o *call) bool { return o == c }) // it ends by itself
	}
	s.mu.Unlock()
	gone.bury()
	return is
}

// find makes a session over the association that a registered device has from an
// earlier run of the program. Its observations wait until it speaks. It returns
// ErrNotRegistered or ErrUnreachable.
func (s *Server) find(ctx context.Context, device fleet.ID) error {
	reg, err := s.lookup(device)
	if err != nil {
		return err
	}
	if s.o.Find == nil {
		return ErrUnreachable
	}
	p, ok := s.o.Find(reg.Endpoint)
	if !ok {
		return ErrUnreachable
	}
	release, err := s.turn(ctx, device)
	if err != nil {
		return err
	}
	defer release()
	if s.Reachable(device) { // it came back before our turn
		return nil
	}
	by := s.prove(p)
	owner, err := s.o.Identify(ctx, p.Identity(), reg.Endpoint)
	if err != nil || owner != device {
		s.o.Log.LogAttrs(ctx, slog.LevelWarn, "restored association not used",
			slog.String("endpoint", string(reg.Endpoint)), slog.Any("reason", err))
		return ErrUnreachable
	}
	if reg, err = s.lookup(device); err != nil { // it may have changed before our turn
		return err
	}
	e, session, _ := s.adopt(by, reg, true)
	s.open(e, session)
	s.unsettle(device)
	return nil
}
