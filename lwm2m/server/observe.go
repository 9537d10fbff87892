package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// ErrNotObserved reports a device that answered the value but does not notify.
var ErrNotObserved = errors.New("device answered without observing")

// A watch is one observation of a session.
type watch struct {
	// begun is closed when the attempt to establish it has ended, and the first
	// values are kept: notifications wait for that.
	begun       chan struct{}
	err         error             // why it failed; set before begun is closed
	observation *coap.Observation // guarded by Server.mu
}

// Observe adds p to what is wanted of the device and establishes it now if the
// device can be reached (§6.4.1). A device that cannot (ErrUnreachable) will be
// observed when it returns, and so will one that does not answer. One that
// refuses (*ResponseError, ErrNotObserved) is asked again when it registers or
// has new objects.
func (s *Server) Observe(ctx context.Context, device fleet.ID, p lwm2m.Path, actor string) error {
	if err := deep(p, 1, lwm2m.MaxDepth); err != nil {
		return err
	}
	if err := s.o.Store.Want(ctx, device, p, true, actor); err != nil {
		return err
	}
	err := s.observe(ctx, device, p)
	if err != nil && !final(err) {
		s.unsettle(device)
	}
	return err
}

// CancelObserve takes p out of what is wanted and cancels it at the device
// (§6.4.2). A device that cannot be reached learns it by a reset of its next
// notification.
func (s *Server) CancelObserve(ctx context.Context, device fleet.ID, p lwm2m.Path, actor string) error {
	if err := s.o.Store.Want(ctx, device, p, false, actor); err != nil {
		return err
	}
	var o *coap.Observation
	s.mu.Lock()
	if live := s.live[device]; live != nil {
		if w := live.watches[p]; w != nil {
			o = w.observation // nil: just being established, which will find itself unwanted
			delete(live.watches, p)
		}
	}
	s.mu.Unlock()
	if o == nil {
		return nil
	}
	return o.Cancel(ctx)
}

// observe establishes one observation, unless the session has it.
func (s *Server) observe(ctx context.Context, device fleet.ID, p lwm2m.Path) error {
	limited, c, err := s.reach(ctx, device)
	if err != nil {
		return err
	}
	defer s.finish(c)
	if err := c.reaches(p); err != nil {
		return err
	}
	w, first, err := s.watch(c.session, p)
	if err != nil {
		return err
	}
	if first {
		s.begin(limited, c, p, w)
	}
	select {
	case <-w.begun:
		return w.err
	case <-limited.Done():
		return context.Cause(limited)
	}
}

// watch returns the watch of a session on p, and whether the caller must begin it.
func (s *Server) watch(live *session, p lwm2m.Path) (w *watch, first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if live.watches == nil {
		return nil, false, ErrEnded
	}
	if w = live.watches[p]; w != nil {
		return w, false, nil
	}
	w = &watch{begun: make(chan struct{})}
	live.watches[p] = w
	return w, true, nil
}

// begin establishes w.
func (s *Server) begin(ctx context.Context, c *call, p lwm2m.Path, w *watch) {
	defer close(w.begun)
	o, res, err := s.ask(ctx, c, p, w)
	if res != nil { // values count even if no more will follow
		s.values(ctx, c, p, res)
	}
	s.mu.Lock()
	current := c.session.watches[p] == w
	switch {
	case current && err == nil:
		w.observation = o
	case current:
		delete(c.session.watches, p)
	case err == nil: // the session ended or p was cancelled meanwhile
		err = ErrEnded
	}
	s.mu.Unlock()
	w.err = err
	if err != nil && o != nil {
		o.Forget()
	}
}

// ask sends the Observe in the formats that suit the device.
func (s *Server) ask(ctx context.Context, c *call, p lwm2m.Path, w *watch) (*coap.Observation, *coap.Response, error) {
	var o *coap.Observation
	res, err := inFormats(s.readable(c, p), func(f uint16) (*coap.Response, error) {
		r := c.request(coap.GET, p)
		r.Accept, r.Observe = coap.FormatID(f), coap.ObserveRegister
		notify := func(n *coap.Response) { s.notified(c, p, w, n) } //nolint:contextcheck // outlives ctx
		res, got, err := s.o.Exchanger.Observe(ctx, c.peer, r, notify)
		if err != nil {
			return nil, why(ctx, err)
		}
		o = got
		return res, success(res)
	})
	if err == nil && o == nil {
		err = ErrNotObserved
	}
	if err != nil {
		err = fmt.Errorf("observe %s: %w", p, err)
	}
	return o, res, err
}

// notified takes one notification (§6.4.3) of the current session; what comes
// for another is late. One without the Observe option, such as an error, is the
// last: the observation is tried again at the device's next message.
func (s *Server) notified(c *call, p lwm2m.Path, w *watch, n *coap.Response) {
	<-w.begun
	last := !n.Observe || !n.Code.IsSuccess()
	s.mu.Lock()
	current := c.session.watches[p] == w
	if current && last {
		delete(c.session.watches, p)
		c.session.unsettled = true
	}
	s.mu.Unlock()
	if !current {
		return
	}
	if n.Code.IsSuccess() {
		s.values(context.Background(), c, p, n) // the engine calls without a context, and waits for us
	}
	if last {
		s.emit(Event{Kind: Lost, Device: c.registration.Device, Path: p})
	}
}

// values decodes, keeps and tells what a device reported at p. A report that
// cannot be read is dropped; the observation goes on.
func (s *Server) values(ctx context.Context, c *call, p lwm2m.Path, res *coap.Response) {
	device := c.registration.Device
	entries, err := s.decode(c, p, res)
	if err == nil {
		err = s.record(ctx, device, FromNotify, entries)
	}
	if err != nil {
		s.o.Log.LogAttrs(ctx, slog.LevelWarn, "values not kept",
			slog.String("endpoint", string(c.registration.Endpoint)),
			slog.String("path", p.String()), slog.Any("error", err))
		return
	}
	s.emit(Event{Kind: Notified, Device: device, Path: p, Entries: entries})
}
