package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"steward/lwm2m/fleet"
)

// observeTimeout bounds what a worker gives to one Observe of one device: more
// than MAX_TRANSMIT_WAIT, 93 s.
const observeTimeout = 2 * time.Minute

// establish queues the device for the workers, once.
func (s *Server) establish(device fleet.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.devices[device]
	if e == nil || e.peer == nil || e.queued || e.unwanted {
		return
	}
	select {
	case s.jobs <- device: // never blocks
		e.queued, e.unsettled = true, false
	default:
		e.unsettled = true
	}
}

func (s *Server) work(ctx context.Context) {
	for {
		select {
		case device := <-s.jobs:
			s.mu.Lock()
			if e := s.devices[device]; e != nil {
				e.queued = false // what comes from now on needs another look
			}
			s.mu.Unlock()
			s.reconcile(ctx, device)
		case <-ctx.Done():
			return
		}
	}
}

// reconcile establishes the wanted observations that the device does not have.
func (s *Server) reconcile(ctx context.Context, device fleet.ID) {
	s.mu.Lock()
	wants := s.wants
	s.mu.Unlock()
	wanted, err := s.o.Store.Wanted(ctx, device)
	if err != nil {
		if ctx.Err() == nil {
			s.o.Log.LogAttrs(ctx, slog.LevelError, "wanted observations", slog.Any("error", err))
		}
		s.unsettle(device)
		return
	}
	if len(wanted) == 0 {
		s.mark(device, wants, true)
		return
	}
	for _, p := range wanted {
		limited, cancel := context.WithTimeout(ctx, observeTimeout)
		err := s.observe(limited, device, p)
		cancel()
		if err != nil && ctx.Err() == nil {
			s.o.Log.LogAttrs(ctx, slog.LevelWarn, "observation not established", slog.String("device", string(device)),
				slog.String("path", p.String()), slog.Any("error", err))
		}
		if err != nil && !final(err) {
			s.unsettle(device)
			return // the rest would fail alike
		}
	}
}

// mark notes that nothing is to be observed of a device, as of a number of changes,
// or that something is.
func (s *Server) mark(device fleet.ID, asOf uint64, unwanted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !unwanted {
		s.wants++
	}
	if e := s.devices[device]; e != nil && (!unwanted || asOf == s.wants) {
		e.unwanted = unwanted
	}
}

// final reports whether the device itself decided, so that asking again brings
// nothing new.
func final(err error) bool {
	var refused *ResponseError
	return errors.As(err, &refused) || errors.Is(err, ErrNotObserved) || errors.Is(err, ErrUnsupported)
}

// unsettle notes that observations are to be tried at the device's next message.
func (s *Server) unsettle(device fleet.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.devices[device]; e != nil && e.peer != nil {
		e.unsettled = true
	}
}

func (s *Server) isUnsettled(e *entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.unsettled
}
