package server

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"steward/lwm2m/fleet"
)

const (
	// observeTimeout bounds what a worker gives to one Observe of one device: more
	// than MAX_TRANSMIT_WAIT, 93 s.
	observeTimeout = 2 * time.Minute
	// retryAfter is how long a device that did not answer an Observe is left alone,
	// unless it speaks before; maxRetries is how often it is asked again then.
	retryAfter = 2 * time.Minute
	maxRetries = 5
)

// An agenda is the devices whose observations are to be established. Server.mu
// guards all but hint.
type agenda struct {
	hint    chan struct{} // holds one: there is more to do
	queue   []fleet.ID    // each once
	working int           // workers
	later   []retry       // in order of time
}

// A retry is a device to be asked again, if it has not spoken before.
type retry struct {
	device  fleet.ID
	session uint32
	at      time.Time
}

// establish queues the device for the workers, once.
func (s *Server) establish(device fleet.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.devices[device]; e != nil {
		e.tries = 0
		s.enqueue(e)
	}
}

// enqueue queues e. The caller holds mu.
func (s *Server) enqueue(e *entry) {
	if e.peer == nil || e.queued || e.unwanted {
		return
	}
	e.queued, e.unsettled = true, false
	s.agenda.queue = append(s.agenda.queue, e.device)
	select {
	case s.agenda.hint <- struct{}{}:
	default:
	}
}

// dispatch starts workers as long as there is something to do, until ctx ends.
func (s *Server) dispatch(ctx context.Context, wg *sync.WaitGroup) {
	for {
		select {
		case <-s.agenda.hint:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		more := min(len(s.agenda.queue), s.o.Workers-s.agenda.working)
		s.agenda.working += more
		s.mu.Unlock()
		for range more {
			wg.Go(func() { s.work(ctx) })
		}
	}
}

// work serves devices until none waits.
func (s *Server) work(ctx context.Context) {
	for {
		device, ok := s.next(ctx)
		if !ok {
			return
		}
		s.reconcile(ctx, device)
	}
}

// next takes a device off the queue, or the worker out of their number.
func (s *Server) next(ctx context.Context) (device fleet.ID, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.agenda
	if len(a.queue) == 0 || ctx.Err() != nil {
		a.working--
		return "", false
	}
	device, a.queue = a.queue[0], a.queue[1:]
	if len(a.queue) == 0 {
		a.queue = nil
	}
	if e := s.devices[device]; e != nil {
		e.queued = false // what comes from now on needs another look
	}
	return device, true
}

// postpone has the device asked again later, a few times: its answer may have been
// lost, and it may not speak for days. One that sleeps speaks when it wakes.
func (s *Server) postpone(device fleet.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.devices[device]
	if e == nil || e.peer == nil {
		return
	}
	e.unsettled = true
	if e.tries < maxRetries && !e.form.queue {
		e.tries++
		s.agenda.later = append(s.agenda.later, retry{device, e.session, time.Now().Add(retryAfter)})
	}
}

// remind queues the devices that are to be asked again by now.
func (s *Server) remind(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.agenda
	for len(a.later) > 0 && !a.later[0].at.After(now) {
		r := a.later[0]
		if a.later = a.later[1:]; len(a.later) == 0 {
			a.later = nil
		}
		if e := s.devices[r.device]; e != nil && e.session == r.session && e.unsettled {
			s.enqueue(e)
		}
	}
}

// reconcile establishes the wanted observations that the device does not have, and
// cancels those that nobody wants.
func (s *Server) reconcile(ctx context.Context, device fleet.ID) {
	s.mu.Lock()
	wants := s.wants
	var had []*watch // before wanted is read: what is wanted later is not among them
	if e := s.devices[device]; e != nil {
		for w := e.watches; w != nil; w = w.next {
			had = append(had, w)
		}
	}
	s.mu.Unlock()
	wanted, err := s.wanted(ctx, device)
	if err != nil {
		if ctx.Err() == nil {
			s.o.Log.LogAttrs(ctx, slog.LevelError, "wanted observations", slog.Any("error", err))
		}
		s.postpone(device)
		return
	}
	s.prune(ctx, had, wanted)
	if len(wanted) == 0 {
		s.mark(device, wants, true)
		return
	}
	for _, w := range s.concerned(device, wanted) {
		limited, cancel := context.WithTimeout(ctx, observeTimeout)
		err := s.observe(limited, device, w.Target)
		cancel()
		if err != nil && ctx.Err() == nil {
			s.o.Log.LogAttrs(ctx, slog.LevelWarn, "observation not established", slog.String("device", string(device)),
				slog.String("target", w.String()), slog.Any("error", err))
		}
		if err != nil && !final(err) {
			s.postpone(device)
			return // the rest would fail alike
		}
	}
}

// concerned returns the wishes that the device can fulfil by its objects.
func (s *Server) concerned(device fleet.ID, wanted []Wish) []Wish {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.devices[device]
	if e == nil {
		return nil
	}
	return slices.DeleteFunc(wanted, func(w Wish) bool { return !w.concerns(e.form.objects) })
}

// prune cancels watches that nobody wants.
func (s *Server) prune(ctx context.Context, had []*watch, wanted []Wish) {
	for _, w := range had {
		t := w.what.Value().bare()
		if slices.ContainsFunc(wanted, func(x Wish) bool { return x.bare() == t }) {
			continue
		}
		s.mu.Lock()
		o := w.observation
		if gone := w.gone; !gone {
			w.entry.unwatch(w)
		} else {
			o = nil
		}
		s.mu.Unlock()
		if o != nil {
			limited, cancel := context.WithTimeout(ctx, observeTimeout)
			_ = o.Cancel(limited) // a device that does not hear it learns it by a reset
			cancel()
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
