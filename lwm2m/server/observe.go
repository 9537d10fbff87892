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

// observeTimeout bounds what a worker gives to one Observe of one device.
const observeTimeout = 2 * time.Minute

// establish queues the device for the workers.
func (s *Server) establish(device fleet.ID) {
	select {
	case s.jobs <- device:
	default:
		s.o.Log.LogAttrs(context.Background(), slog.LevelWarn, "observations postponed to the next Update",
			slog.String("device", string(device)))
	}
}

func (s *Server) work(ctx context.Context) {
	for {
		select {
		case device := <-s.jobs:
			s.reconcile(ctx, device)
		case <-ctx.Done():
			return
		}
	}
}

// reconcile establishes the wanted observations that the device does not have.
func (s *Server) reconcile(ctx context.Context, device fleet.ID) {
	wanted, err := s.o.Store.Wanted(ctx, device)
	if err != nil {
		if ctx.Err() == nil {
			s.o.Log.LogAttrs(ctx, slog.LevelError, "wanted observations", slog.Any("error", err))
		}
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
		if errors.Is(err, ErrUnreachable) || errors.Is(err, coap.ErrTimeout) || errors.Is(err, coap.ErrClosed) {
			return // the rest would fail alike; the next Update tries again
		}
	}
}

// Observe adds p to what is wanted of the device and establishes it now if the
// device can be reached. It returns the first values. A device that cannot be
// reached (ErrUnreachable) will be observed when it returns.
func (s *Server) Observe(ctx context.Context, device fleet.ID, p lwm2m.Path, actor string) error {
	if p.Len() == 0 {
		return fmt.Errorf("%w: the root cannot be observed", lwm2m.ErrPath)
	}
	if err := s.o.Store.Want(ctx, device, p, true, actor); err != nil {
		return err
	}
	return s.observe(ctx, device, p)
}

// CancelObserve takes p out of what is wanted and cancels it at the device. A
// device that cannot be reached learns it by a reset of its next notification.
func (s *Server) CancelObserve(ctx context.Context, device fleet.ID, p lwm2m.Path, actor string) error {
	if err := s.o.Store.Want(ctx, device, p, false, actor); err != nil {
		return err
	}
	s.mu.Lock()
	var o *coap.Observation
	if live := s.live[device]; live != nil {
		o = live.observations[p]
		delete(live.observations, p)
	}
	s.mu.Unlock()
	if o == nil {
		return nil
	}
	return o.Cancel(ctx)
}

// observe establishes one observation, unless the session has it.
func (s *Server) observe(ctx context.Context, device fleet.ID, p lwm2m.Path) error {
	live, err := s.session(ctx, device)
	if err != nil {
		return err
	}
	s.mu.Lock()
	_, have := live.observations[p]
	s.mu.Unlock()
	if have {
		return nil
	}
	o, err := s.observeAs(ctx, live, p)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.live[device] == live && live.observations[p] == nil {
		live.observations[p], o = o, nil
	}
	s.mu.Unlock()
	if o != nil { // the device came back by another association meanwhile
		o.Forget()
	}
	return nil
}

// observeAs sends the Observe in the formats that suit the device.
func (s *Server) observeAs(ctx context.Context, live *session, p lwm2m.Path) (*coap.Observation, error) {
	var o *coap.Observation
	_, err := s.inFormats(live, p, func(f uint16) (*coap.Response, error) {
		r := s.request(live, coap.GET, p)
		r.Accept, r.Observe = coap.FormatID(f), coap.ObserveRegister
		res, got, err := s.o.Exchanger.Observe(ctx, live.peer, r, func(n *coap.Response) { s.notified(live, p, n) })
		if err != nil {
			return nil, err
		}
		o = got
		return res, success(res)
	}, func(res *coap.Response) error {
		s.values(ctx, live, p, FromNotify, res)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if o == nil {
		return nil, fmt.Errorf("observe %s: %w", p, errNotObserved)
	}
	return o, nil
}

// errNotObserved reports a device that answered the value but does not notify.
var errNotObserved = errors.New("device answered without observing")

// notified takes one notification (§6.4.3). An error code ends the observation.
func (s *Server) notified(live *session, p lwm2m.Path, n *coap.Response) {
	device := live.registration.Device
	if !n.Code.IsSuccess() {
		s.mu.Lock()
		delete(live.observations, p)
		s.mu.Unlock()
		s.emit(Event{Kind: Lost, Device: device, Path: p})
		return
	}
	s.values(context.Background(), live, p, FromNotify, n)
}

// values decodes, keeps and tells what a device reported at p.
func (s *Server) values(ctx context.Context, live *session, p lwm2m.Path, from Source, res *coap.Response) {
	device := live.registration.Device
	entries, err := s.decode(p, res)
	if err == nil {
		err = s.o.Store.Record(ctx, device, from, entries, time.Now())
	}
	if err != nil {
		s.o.Log.LogAttrs(ctx, slog.LevelWarn, "values not kept",
			slog.String("endpoint", string(live.registration.Endpoint)),
			slog.String("path", p.String()), slog.Any("error", err))
		return
	}
	s.emit(Event{Kind: Notified, Device: device, Path: p, Entries: entries})
}

// send serves Send (§6.4.4): values of a registered device, unasked.
func (s *Server) send(ctx context.Context, r *coap.Request) (*coap.Response, error) {
	device, err := s.sender(r.Peer)
	if err != nil {
		return nil, err
	}
	f, _ := r.ContentFormat.ID()
	entries, err := decodeSend(f, r.Payload, s.o.Schema)
	if err != nil {
		return nil, err
	}
	if err := s.o.Store.Record(ctx, device, FromSend, entries, time.Now()); err != nil {
		return nil, err
	}
	return &coap.Response{Code: coap.Changed, Sent: func() {
		s.emit(Event{Kind: Sent, Device: device, Entries: entries})
	}}, nil
}

// sender finds the device whose live association p is.
func (s *Server) sender(p coap.Peer) (fleet.ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, ok := s.peers[p]; ok {
		return id, nil
	}
	return "", fmt.Errorf("%w: Send before Register", ErrNotRegistered)
}
