package server

import (
	"context"
	"fmt"
)

// load reads all registrations, then the signs of life that the process before did
// not fold. A sign is of one registration: what ended or began since is none of
// its business, and what was stored later than it counts more.
func (s *Server) load(ctx context.Context) error {
	if err := s.o.Store.EachProfile(ctx, s.profiles.remember); err != nil {
		return err
	}
	var broken error
	err := s.o.Store.EachRegistration(ctx, func(r Registration) {
		if _, err := ParseLocation(r.ID); err != nil {
			broken = fmt.Errorf("registration of %s: %w", r.Endpoint, err)
			return
		}
		s.keep(r)
	})
	if err == nil {
		err = broken
	}
	if err != nil || s.o.Signs == nil {
		return err
	}
	return s.o.Signs.Replay(func(sign Sign) {
		e := s.locations[sign.Location]
		if e != nil && sign.At.UnixMicro() > e.updated {
			s.note(e, sign)
		}
	})
}
