package server

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/fleet"
)

// register serves Register (§6.2.1): a device known by its identity replaces
// whatever registration it had.
func (s *Server) register(ctx context.Context, r *coap.Request) (*coap.Response, error) {
	p, err := read(r)
	if err != nil {
		return nil, err
	}
	who := r.Peer.Identity()
	reg, err := newRegistration(p, who, r.Payload)
	if err != nil {
		return nil, err
	}
	if reg.Device, err = s.o.Identify(ctx, who, reg.Endpoint); err != nil {
		return nil, err
	}
	release, err := s.turn(ctx, reg.Device)
	if err != nil {
		return nil, err
	}
	defer release()
	now := time.Now()
	reg.ID = newLocation()
	reg.touch(r.Peer, now)
	reg.RegisteredAt = reg.UpdatedAt
	if err := s.o.Store.Register(ctx, reg); err != nil {
		return nil, err
	}
	live, _ := s.adopt(r.Peer, reg)
	s.o.Log.LogAttrs(ctx, slog.LevelInfo, "registered", slog.String("endpoint", string(reg.Endpoint)),
		slog.String("version", string(reg.Version)), slog.Duration("lifetime", reg.Lifetime))
	return &coap.Response{
		Code: coap.Created, LocationPath: []string{"rd", reg.ID},
		Sent: s.answered(live, true, Event{Kind: Registered, Device: reg.Device}),
	}, nil
}

// answered returns what is to be done when the answer to a device has left: not
// before it may the server send requests of its own (§6.2.1).
func (s *Server) answered(live *session, establish bool, e Event) func() {
	return func() {
		live.open()
		if establish {
			s.establish(e.Device)
		}
		s.emit(e)
	}
}

// read reads what Register and Update have in common.
func read(r *coap.Request) (parameters, error) {
	if f, ok := r.ContentFormat.ID(); ok && f != codec.Link {
		return parameters{}, fmt.Errorf("%w: %d for a list of links", codec.ErrFormat, f)
	}
	return parseQuery(r.Query)
}

// update serves Update (§6.2.2). One that changes nothing is a refresh.
func (s *Server) update(ctx context.Context, r *coap.Request) (*coap.Response, error) {
	before, release, err := s.owned(ctx, r)
	if err != nil {
		return nil, err
	}
	defer release()
	p, err := read(r)
	if err != nil {
		return nil, err
	}
	reg, err := before.update(p, r.Payload)
	if err != nil {
		return nil, err
	}
	reg.touch(r.Peer, time.Now())
	if err := s.o.Store.Update(ctx, reg, reg.same(before)); err != nil {
		return nil, err
	}
	live, returned := s.adopt(r.Peer, reg)
	// New objects may be what a wanted observation was refused for.
	again := returned || len(r.Payload) > 0 || s.isUnsettled(live)
	return &coap.Response{
		Code: coap.Changed, Sent: s.answered(live, again, Event{Kind: Updated, Device: reg.Device}),
	}, nil
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
	id := r.Path[1]
	if reg, err = s.o.Store.Registration(ctx, id); err != nil {
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
	if reg, err = s.o.Store.Registration(ctx, id); err != nil {
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
func (s *Server) recognise(ctx context.Context, p coap.Peer) (live *session, returned bool, err error) {
	who := p.Identity()
	if who.Role == coap.RoleNone || who.Name == "" {
		return nil, false, ErrNotRegistered
	}
	ep, err := lwm2m.ParseEndpoint(who.Name)
	if err != nil {
		return nil, false, ErrNotRegistered
	}
	device, err := s.o.Identify(ctx, who, ep)
	if err != nil && refused(err) {
		err = fmt.Errorf("%w: %w", ErrNotRegistered, err)
	}
	if err != nil {
		return nil, false, err
	}
	release, err := s.turn(ctx, device)
	if err != nil {
		return nil, false, err
	}
	defer release()
	reg, err := s.o.Store.OfDevice(ctx, device)
	if err != nil {
		return nil, false, err
	}
	live, returned = s.adopt(p, reg)
	return live, returned, nil
}

// sender returns the session whose association p is.
func (s *Server) sender(ctx context.Context, p coap.Peer) (live *session, returned bool, err error) {
	s.mu.Lock()
	var device fleet.ID
	device, ok := s.peers[p]
	live = s.live[device]
	s.mu.Unlock()
	if ok {
		return live, false, nil
	}
	return s.recognise(ctx, p)
}

// newLocation returns 128 random bits in 22 characters.
func newLocation() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}
