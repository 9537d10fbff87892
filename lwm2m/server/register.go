package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// register serves Register (§6.2.1): a device known by its identity replaces
// whatever registration it had.
func (s *Server) register(ctx context.Context, r *coap.Request) (*coap.Response, error) {
	p, err := s.read(r)
	if err != nil {
		return nil, err
	}
	who := r.Peer.Identity()
	reg, err := newRegistration(p, who)
	if err != nil {
		return nil, err
	}
	by := s.prove(r.Peer)
	if reg.Device, err = s.o.Identify(ctx, who, reg.Endpoint); err != nil {
		return nil, err
	}
	if err := s.determine(ctx, &reg, p, r.Payload, who); err != nil {
		return nil, err
	}
	release, err := s.turn(ctx, reg.Device)
	if err != nil {
		return nil, err
	}
	defer release()
	reg.ID = newLocation().String()
	reg.touch(r.Peer, time.Now())
	reg.RegisteredAt = reg.UpdatedAt
	if err := s.o.Store.Register(ctx, reg); err != nil {
		return nil, err
	}
	e, session, _ := s.adopt(by, reg, false)
	s.o.Log.LogAttrs(ctx, slog.LevelInfo, "registered", slog.String("endpoint", string(reg.Endpoint)),
		slog.String("version", string(reg.Version)), slog.Duration("lifetime", reg.Lifetime))
	return &coap.Response{
		Code: coap.Created, LocationPath: []string{"rd", reg.ID},
		Sent: s.answered(e, session, true, Event{Kind: Registered, Device: reg.Device}),
	}, nil
}

// answered returns what is to be done when the answer to a device has left: not
// before it may the server send requests of its own (§6.2.1).
func (s *Server) answered(e *entry, session uint32, establish bool, news Event) func() {
	// Apart, for an Event as a whole is too large to be part of the function.
	kind, path, entries, certified := news.Kind, news.Path, news.Entries, news.Certified
	return func() {
		s.open(e, session)
		if establish {
			s.establish(e.device)
		}
		s.emit(Event{Kind: kind, Device: e.device, Path: path, Entries: entries, Certified: certified})
	}
}

// read reads what Register and Update have in common.
func (s *Server) read(r *coap.Request) (parameters, error) {
	if f, ok := r.ContentFormat.ID(); ok && f != codec.Link {
		return parameters{}, fmt.Errorf("%w: %d for a list of links", codec.ErrFormat, f)
	}
	p, err := parseQuery(r.Query)
	p.tolerant = s.o.Tolerant
	return p, err
}

// update serves Update (§6.2.2). One that changes nothing but the lifetime is a
// refresh.
func (s *Server) update(ctx context.Context, r *coap.Request) (*coap.Response, error) {
	if res := s.quick(r); res != nil {
		return res, nil
	}
	by := s.prove(r.Peer)
	before, release, err := s.owned(ctx, r)
	if err != nil {
		return nil, err
	}
	defer release()
	p, err := s.read(r)
	if err != nil {
		return nil, err
	}
	reg, err := before.update(p)
	if err == nil && (len(r.Payload) > 0 || reg.profiled(p)) {
		err = s.determine(ctx, &reg, p, r.Payload, r.Peer.Identity())
	}
	if errors.Is(err, ErrProfile) { // Update has no 4.09
		err = fmt.Errorf("%w: %s", ErrParameter, err.Error())
	}
	if err != nil {
		return nil, err
	}
	reg.touch(r.Peer, time.Now())
	if err := s.change(ctx, before, reg); err != nil {
		return nil, err
	}
	e, session, returned := s.adopt(by, reg, false)
	// New objects may be what a wanted observation was refused for.
	again := returned || len(r.Payload) > 0 || reg.profiled(p) || s.isUnsettled(e)
	return &coap.Response{
		Code: coap.Changed, Sent: s.answered(e, session, again, Event{Kind: Updated, Device: reg.Device}),
	}, nil
}

// change stores what an Update made of a registration. The caller has the turn.
func (s *Server) change(ctx context.Context, before, after Registration) error {
	if !after.same(before) {
		return s.o.Store.Update(ctx, after)
	}
	if s.o.Signs != nil && s.touched(after) {
		return nil
	}
	err := s.o.Store.Refresh(ctx, []Refresh{after.refresh()})
	if errors.Is(err, audit.ErrStorage) && s.remembered(after) {
		return nil // it is stored with the next fold that succeeds
	}
	return err
}

// remembered notes the sign of life in r in memory alone, or returns false.
func (s *Server) remembered(r Registration) bool {
	from, err := netip.ParseAddrPort(r.Address)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.devices[r.Device]
	if e == nil {
		return false
	}
	s.note(e, Sign{
		Location: e.location, At: time.UnixMicro(max(r.UpdatedAt.UnixMicro(), e.updated+1)),
		Lifetime: r.Lifetime, Address: from,
	})
	return true
}

// touched notes the sign of life in r, or returns false.
func (s *Server) touched(r Registration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.devices[r.Device]
	from, err := netip.ParseAddrPort(r.Address)
	lifetime := uint32(r.Lifetime / time.Second) //nolint:gosec // G115: parsed from 32 bits
	return e != nil && err == nil && s.touch(e, lifetime, from, r.UpdatedAt)
}

// deregister serves De-register (§6.2.3).
func (s *Server) deregister(ctx context.Context, r *coap.Request) (*coap.Response, error) {
	reg, release, err := s.owned(ctx, r)
	if err != nil {
		return nil, err
	}
	defer release()
	const reason = "de-registered by the device"
	if err := s.remove(ctx, reg, "device:"+string(reg.Endpoint), reason); err != nil {
		return nil, err
	}
	return &coap.Response{Code: coap.Deleted, Sent: func() { s.ended(ctx, reg, Deregistered, reason) }}, nil
}

// owned returns the registration that a request names by its location, with the
// turn of its device, if the association proves the device's identity. Another's
// looks like none.
func (s *Server) owned(ctx context.Context, r *coap.Request) (reg Registration, release func(), err error) {
	if reg, err = s.at(r.Path[1]); err != nil {
		return reg, nil, err
	}
	device, err := s.o.Identify(ctx, r.Peer.Identity(), reg.Endpoint)
	switch {
	case err != nil && !refused(err):
		return reg, nil, err // 4.04 would stop some clients for good: not for our own trouble
	case err != nil:
		return reg, nil, fmt.Errorf("%w: %w", ErrNotRegistered, err)
	case device != reg.Device:
		return reg, nil, fmt.Errorf("%w: location of another device", ErrNotRegistered)
	}
	if release, err = s.turn(ctx, device); err != nil {
		return reg, nil, err
	}
	// Again, for it may have changed before our turn.
	if reg, err = s.at(r.Path[1]); err != nil {
		release()
		return reg, nil, err
	}
	return reg, release, nil
}

// refused reports whether Identify judged, rather than failed.
func refused(err error) bool {
	return errors.Is(err, ErrIdentity) || errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrForbidden)
}

// recognise finds the device behind an association that has not registered nor
// updated: after a new handshake some devices just go on. Only a proved identity
// counts, and only if it is the endpoint name.
func (s *Server) recognise(ctx context.Context, p coap.Peer) (from sender, err error) {
	who := p.Identity()
	if who.Role == coap.RoleNone || who.Name == "" {
		return from, ErrNotRegistered
	}
	ep, err := lwm2m.ParseEndpoint(who.Name)
	if err != nil {
		return from, ErrNotRegistered
	}
	by := s.prove(p)
	device, err := s.o.Identify(ctx, who, ep)
	if err != nil && refused(err) {
		err = fmt.Errorf("%w: %w", ErrNotRegistered, err)
	}
	if err != nil {
		return from, err
	}
	release, err := s.turn(ctx, device)
	if err != nil {
		return from, err
	}
	defer release()
	if from.registration, err = s.lookup(device); err != nil {
		return from, err
	}
	from.entry, from.session, from.returned = s.adopt(by, from.registration, false)
	s.mu.Lock()
	s.hear(from.entry, time.Now().UnixMicro())
	s.mu.Unlock()
	return from, nil
}

// A sender is the session whose association a message came by.
type sender struct {
	entry        *entry
	session      uint32
	registration Registration
	returned     bool // the session is new
}

// sender returns the session whose association p is.
func (s *Server) sender(ctx context.Context, p coap.Peer) (sender, error) {
	s.mu.Lock()
	if e := s.peers[p]; e != nil {
		s.hear(e, time.Now().UnixMicro())
		from := sender{entry: e, session: e.session, registration: e.registration()}
		s.mu.Unlock()
		return from, nil
	}
	s.mu.Unlock()
	return s.recognise(ctx, p)
}
