package server

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
	"unique"

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
	what  unique.Handle[Target] // many devices have the same

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

// Observe adds p to what is wanted of the device, with the attributes that are
// wanted already, and otherwise is ObserveTarget.
func (s *Server) Observe(ctx context.Context, device fleet.ID, p lwm2m.Path, actor string) error {
	t := Node(p)
	if err := t.check(); err != nil {
		return err
	}
	wishes, err := s.wanted(ctx, device)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(wishes, func(w Wish) bool { return w.bare() == t }); i >= 0 {
		t = wishes[i].Target
	}
	return s.ObserveTarget(ctx, device, t, actor)
}

// ObserveTarget adds t to what is wanted of the device, in place of the same with
// other attributes, and establishes it now if the device can be reached (§6.4.1,
// §6.4.4). A device that cannot (ErrUnreachable) will be observed when it returns,
// and so will one that does not answer. One that refuses (*ResponseError,
// ErrNotObserved) is asked again when it registers or has new objects.
func (s *Server) ObserveTarget(ctx context.Context, device fleet.ID, t Target, actor string) error {
	if err := t.check(); err != nil {
		return err
	}
	if err := s.o.Store.Want(ctx, device, t, true, actor); err != nil {
		return err
	}
	s.mark(device, 0, false)
	err := s.observe(ctx, device, t)
	if err != nil && !final(err) {
		s.unsettle(device)
	}
	return err
}

// CancelObserve is CancelTarget of one node.
func (s *Server) CancelObserve(ctx context.Context, device fleet.ID, p lwm2m.Path, actor string) error {
	return s.CancelTarget(ctx, device, Node(p), actor)
}

// CancelTarget takes t, with whatever attributes, out of what is wanted and cancels
// it at the device (§6.4.2). A device that cannot be reached learns it by a reset of
// its next notification. What a template wants goes on.
func (s *Server) CancelTarget(ctx context.Context, device fleet.ID, t Target, actor string) error {
	t = t.bare()
	if err := s.o.Store.Want(ctx, device, t, false, actor); err != nil {
		return err
	}
	wishes, err := s.wanted(ctx, device)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(wishes, func(w Wish) bool { return w.bare() == t }) {
		s.establish(device) // perhaps with other attributes
		return nil
	}
	o, away := s.release(device, t)
	if o == nil {
		return nil
	}
	if away {
		o.Forget()
		return nil
	}
	return o.Cancel(ctx)
}

// release takes the watch of t out, and returns its observation, which may be nil,
// and whether the device sleeps.
func (s *Server) release(device fleet.ID, t Target) (o *coap.Observation, away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.devices[device]
	if e == nil {
		return nil, false
	}
	s.forgive(device, t)
	if w := e.watching(t); w != nil {
		o = w.observation // nil: just being established, which will find itself unwanted
		e.unwatch(w)
	}
	return o, s.asleep(e) != nil
}

// observe establishes one observation, unless the session has it.
func (s *Server) observe(ctx context.Context, device fleet.ID, t Target) error {
	limited, c, err := s.reach(ctx, device)
	if err != nil {
		return err
	}
	defer s.finish(c)
	if err := c.observes(t); err != nil {
		s.blame(c, t, err)
		return err
	}
	w, begun, first, err := s.watch(limited, c, t)
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

// observes checks that the device's version has the observation.
func (c *call) observes(t Target) error {
	if t.Composite() {
		return c.composes(t.Paths())
	}
	return c.reaches(t.node)
}

// watch returns the watch of a session on t, the attempt to establish it that is
// under way, and whether the caller must make that. One with other attributes ends.
func (s *Server) watch(ctx context.Context, c *call, t Target) (w *watch, begun *attempt, first bool, err error) {
	s.mu.Lock()
	e := c.entry
	if e.peer == nil || e.session != c.session {
		s.mu.Unlock()
		return nil, nil, false, ErrEnded
	}
	var old *coap.Observation
	if w = e.watching(t.bare()); w != nil && w.what.Value() == t {
		defer s.mu.Unlock()
		return w, w.attempt, false, nil
	}
	if w != nil {
		old = w.observation
		e.unwatch(w)
	}
	w = &watch{
		entry: e, what: unique.Make(t), next: e.watches, attempt: &attempt{done: make(chan struct{})},
	}
	e.watches = w
	begun = w.attempt
	s.mu.Unlock()
	if old != nil {
		_ = old.Cancel(ctx) // a device that has it still learns it by a reset
	}
	return w, begun, true, nil
}

// watching returns the watch on t, with whatever attributes, nil if there is none.
// The caller holds mu.
func (e *entry) watching(t Target) *watch {
	for w := e.watches; w != nil; w = w.next {
		if w.what.Value().bare() == t {
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
		s.reproach(w.entry.device, w.what.Value().bare(), "ended by the device with "+n.Code.String())
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
		s.values(context.Background(), reg, w.what.Value(), n) // the engine calls without a context, and waits for us
	}
	if last {
		s.emit(Event{Kind: Lost, Device: reg.Device, Path: w.what.Value().node})
	}
}

// values decodes, keeps and tells what a device reported at t. A report that
// cannot be read is dropped; the observation goes on.
func (s *Server) values(ctx context.Context, reg Registration, t Target, res *coap.Response) {
	entries, err := s.decodeTarget(reg, t, res)
	if err == nil {
		err = s.recordSoon(ctx, reg.Device, entries)
	}
	if err != nil {
		s.o.Log.LogAttrs(ctx, slog.LevelWarn, "values not kept", slog.String("endpoint", string(reg.Endpoint)),
			slog.String("target", t.String()), slog.Any("error", err))
		return
	}
	s.emit(Event{Kind: Notified, Device: reg.Device, Path: t.node, Entries: entries})
}

func (s *Server) decodeTarget(reg Registration, t Target, res *coap.Response) ([]lwm2m.Entry, error) {
	if t.Composite() {
		return s.decodeComposite(reg, t.Paths(), res)
	}
	return s.decode(reg, t.node, res)
}
