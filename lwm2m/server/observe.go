package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// ErrNotObserved reports a device that answered the value but does not notify.
var ErrNotObserved = errors.New("device answered without observing")

// A watch is one observation of a session. There are several for each device, so
// it is small. Server.mu guards all but the first two fields, which do not change.
type watch struct {
	entry *entry
	path  lwm2m.Path

	gone        bool   // no longer among those of the entry
	next        *watch // in entry.watches
	observation *coap.Observation
	attempt     *attempt // nil once it has ended
}

// An attempt is the establishing of a watch.
type attempt struct {
	done chan struct{} // closed when it has ended, and the first values are kept
	err  error         // why it failed; set before done is closed
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
	s.mark(device, 0, false)
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
	away := false
	s.mu.Lock()
	if e := s.devices[device]; e != nil {
		if w := e.watching(p); w != nil {
			o = w.observation // nil: just being established, which will find itself unwanted
			e.unwatch(w)
		}
		away = s.asleep(e) != nil
	}
	s.mu.Unlock()
	if o == nil {
		return nil
	}
	if away {
		o.Forget()
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
	w, begun, first, err := s.watch(c, p)
	if err != nil {
		return err
	}
	if first {
		s.begin(limited, c, w, begun)
	}
	if begun == nil {
		return nil
	}
	select {
	case <-begun.done:
		return begun.err
	case <-limited.Done():
		return context.Cause(limited)
	}
}

// watch returns the watch of a session on p, the attempt to establish it that is
// under way, and whether the caller must make that.
func (s *Server) watch(c *call, p lwm2m.Path) (w *watch, begun *attempt, first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := c.entry
	if e.peer == nil || e.session != c.session {
		return nil, nil, false, ErrEnded
	}
	if w = e.watching(p); w != nil {
		return w, w.attempt, false, nil
	}
	w = &watch{entry: e, path: p, next: e.watches, attempt: &attempt{done: make(chan struct{})}}
	e.watches = w
	return w, w.attempt, true, nil
}

// watching returns the watch on p, nil if there is none. The caller holds mu.
func (e *entry) watching(p lwm2m.Path) *watch {
	for w := e.watches; w != nil; w = w.next {
		if w.path == p {
			return w
		}
	}
	return nil
}

// unwatch takes w out. The caller holds mu.
func (e *entry) unwatch(w *watch) {
	for at := &e.watches; *at != nil; at = &(*at).next {
		if *at == w {
			*at, w.next, w.gone = w.next, nil, true
			return
		}
	}
}

// begin establishes w.
func (s *Server) begin(ctx context.Context, c *call, w *watch, begun *attempt) {
	defer close(begun.done)
	o, res, err := s.ask(ctx, c, w)
	if res != nil { // values count even if no more will follow
		s.values(ctx, c.registration, w.path, res)
	}
	s.mu.Lock()
	switch {
	case !w.gone && err == nil:
		w.observation = o
	case !w.gone:
		w.entry.unwatch(w)
	case err == nil: // the session ended or p was cancelled meanwhile
		err = ErrEnded
	}
	w.attempt = nil
	s.mu.Unlock()
	begun.err = err
	if err != nil && o != nil {
		o.Forget()
	}
}

// ask sends the Observe in the formats that suit the device.
func (s *Server) ask(ctx context.Context, c *call, w *watch) (*coap.Observation, *coap.Response, error) {
	p := w.path
	var o *coap.Observation
	res, err := inFormats(s.readable(c, p), func(f uint16) (*coap.Response, error) {
		r := c.request(coap.GET, p)
		r.Accept, r.Observe = coap.FormatID(f), coap.ObserveRegister
		res, got, err := s.o.Exchanger.Observe(ctx, c.peer, r, w.notified)
		s.outcome(c, err)
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
// last: the observation is tried again at the device's next message. It waits until
// the first values are kept.
func (w *watch) notified(n *coap.Response) {
	s, last := w.entry.home, !n.Observe || !n.Code.IsSuccess()
	s.mu.Lock()
	if begun := w.attempt; begun != nil {
		s.mu.Unlock()
		<-begun.done
		s.mu.Lock()
	}
	current := !w.gone
	if current {
		s.hear(w.entry, time.Now().UnixMicro())
	}
	if current && last {
		w.entry.unwatch(w)
		w.entry.unsettled = true
	}
	var reg Registration
	if current {
		reg = w.entry.name()
	}
	s.mu.Unlock()
	if !current {
		return
	}
	if n.Code.IsSuccess() {
		s.values(context.Background(), reg, w.path, n) // the engine calls without a context, and waits for us
	}
	if last {
		s.emit(Event{Kind: Lost, Device: reg.Device, Path: w.path})
	}
}

// values decodes, keeps and tells what a device reported at p. A report that
// cannot be read is dropped; the observation goes on.
func (s *Server) values(ctx context.Context, reg Registration, p lwm2m.Path, res *coap.Response) {
	entries, err := s.decode(reg, p, res)
	if err == nil {
		err = s.recordSoon(ctx, reg.Device, entries)
	}
	if err != nil {
		s.o.Log.LogAttrs(ctx, slog.LevelWarn, "values not kept", slog.String("endpoint", string(reg.Endpoint)),
			slog.String("path", p.String()), slog.Any("error", err))
		return
	}
	s.emit(Event{Kind: Notified, Device: reg.Device, Path: p, Entries: entries})
}
