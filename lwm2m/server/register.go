package server

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/fleet"
)

// answers maps what can go wrong at the registration interface to its code
// (§6.2, §6.4.6). It is the only such table.
var answers = []struct {
	err  error
	code coap.Code
}{
	{lwm2m.ErrVersion, coap.PreconditionFailed},
	{ErrParameter, coap.BadRequest},
	{lwm2m.ErrEndpoint, coap.BadRequest},
	{ErrIdentity, coap.BadRequest},
	{ErrForbidden, coap.Forbidden},
	{ErrNotRegistered, coap.NotFound},
	{codec.ErrFormat, coap.UnsupportedContentFormat},
	{errPayload, coap.BadRequest},
}

// errPayload reports a Send that cannot be decoded.
var errPayload = errors.New("unreadable payload")

// ServeCoAP answers requests to /rd and /dp; others get 4.04.
func (s *Server) ServeCoAP(ctx context.Context, r *coap.Request) *coap.Response {
	res, err := s.serve(ctx, r)
	if err == nil {
		return res
	}
	code := coap.InternalServerError
	for _, a := range answers {
		if errors.Is(err, a.err) {
			code = a.code
			break
		}
	}
	level, text := slog.LevelWarn, err.Error()
	if code == coap.InternalServerError {
		level, text = slog.LevelError, "" // our own trouble is not the device's business
	}
	s.o.Log.LogAttrs(ctx, level, "request refused", slog.String("peer", r.Peer.String()),
		slog.String("identity", r.Peer.Identity().Name), slog.String("code", code.String()), slog.Any("error", err))
	return &coap.Response{Code: code, Payload: []byte(text)}
}

func (s *Server) serve(ctx context.Context, r *coap.Request) (*coap.Response, error) {
	switch {
	case len(r.Path) == 1 && r.Path[0] == "rd" && r.Method == coap.POST:
		return s.register(ctx, r)
	case len(r.Path) == locationSegments && r.Path[0] == "rd" && r.Method == coap.POST:
		return s.update(ctx, r)
	case len(r.Path) == locationSegments && r.Path[0] == "rd" && r.Method == coap.DELETE:
		return s.deregister(ctx, r)
	case len(r.Path) == 1 && r.Path[0] == "dp" && r.Method == coap.POST:
		return s.send(ctx, r)
	case len(r.Path) > 0 && (r.Path[0] == "rd" || r.Path[0] == "dp"):
		return &coap.Response{Code: coap.MethodNotAllowed}, nil
	}
	return &coap.Response{Code: coap.NotFound}, nil
}

// register serves Register (§6.2.1): a device known by its identity replaces
// whatever registration it had.
func (s *Server) register(ctx context.Context, r *coap.Request) (*coap.Response, error) {
	if f, ok := r.ContentFormat.ID(); ok && f != codec.Link {
		return nil, fmt.Errorf("%w: %d for a list of links", codec.ErrFormat, f)
	}
	p, err := parseQuery(r.Query)
	if err != nil {
		return nil, err
	}
	who := r.Peer.Identity()
	name := who.Name // from 1.1 on "ep" may be left out if it equals the identity
	if p.endpoint != nil {
		name = *p.endpoint
	}
	ep, err := lwm2m.ParseEndpoint(name)
	if err != nil {
		return nil, err
	}
	reg, err := newRegistration(p, r.Payload)
	if err != nil {
		return nil, err
	}
	reg.Endpoint = ep
	if reg.Device, err = s.o.Identify(ctx, who, ep); err != nil {
		return nil, err
	}
	now := time.Now()
	reg.ID = newLocation()
	reg.RegisteredAt = now
	s.touch(&reg, r.Peer, now)
	if err := s.o.Store.Register(ctx, reg); err != nil {
		return nil, err
	}
	s.adopt(r.Peer, reg)
	s.o.Log.LogAttrs(ctx, slog.LevelInfo, "registered", slog.String("endpoint", string(ep)),
		slog.String("version", string(reg.Version)), slog.Duration("lifetime", reg.Lifetime))
	return &coap.Response{
		Code: coap.Created, LocationPath: []string{"rd", reg.ID},
		Sent: func() { s.began(reg.Device, Registered) },
	}, nil
}

// update serves Update (§6.2.2). One that changes nothing is a refresh.
func (s *Server) update(ctx context.Context, r *coap.Request) (*coap.Response, error) {
	reg, err := s.owned(ctx, r)
	if err != nil {
		return nil, err
	}
	p, err := parseQuery(r.Query)
	if err != nil {
		return nil, err
	}
	if p.endpoint != nil || p.version != nil {
		return nil, fmt.Errorf("%w: ep and lwm2m cannot change by Update", ErrParameter)
	}
	before := reg
	if err := reg.apply(p); err != nil {
		return nil, err
	}
	reg.Queue = reg.Queue || p.queue
	if len(r.Payload) > 0 {
		if err := reg.applyLinks(r.Payload); err != nil {
			return nil, err
		}
	}
	refresh := reg.Lifetime == before.Lifetime && reg.Binding == before.Binding && reg.Queue == before.Queue &&
		reg.SMS == before.SMS && slices.Equal(reg.Objects, before.Objects)
	s.touch(&reg, r.Peer, time.Now())
	if err := s.o.Store.Update(ctx, reg, refresh); err != nil {
		return nil, err
	}
	returned := s.adopt(r.Peer, reg)
	return &coap.Response{Code: coap.Changed, Sent: func() {
		if returned {
			s.establish(reg.Device)
		}
		s.emit(Event{Kind: Updated, Device: reg.Device})
	}}, nil
}

// deregister serves De-register (§6.2.3).
func (s *Server) deregister(ctx context.Context, r *coap.Request) (*coap.Response, error) {
	reg, err := s.owned(ctx, r)
	if err != nil {
		return nil, err
	}
	s.remove(ctx, reg, "de-registered by the device", Deregistered)
	return &coap.Response{Code: coap.Deleted}, nil
}

// owned returns the registration that a request names by its location, if the
// association proves the device's identity. Another's looks like none.
func (s *Server) owned(ctx context.Context, r *coap.Request) (Registration, error) {
	reg, err := s.o.Store.Registration(ctx, r.Path[1])
	if err != nil {
		return Registration{}, err
	}
	id, err := s.o.Identify(ctx, r.Peer.Identity(), reg.Endpoint)
	if err != nil || id != reg.Device {
		return Registration{}, fmt.Errorf("%w: location of another device", ErrNotRegistered)
	}
	return reg, nil
}

// touch notes a sign of life.
func (s *Server) touch(reg *Registration, p coap.Peer, now time.Time) {
	reg.UpdatedAt, reg.ExpiresAt, reg.Address = now, now.Add(reg.Lifetime), p.Addr().String()
}

// adopt makes p the way to the device. It reports whether observations must be
// established: the device is new to this process, or came by another association.
func (s *Server) adopt(p coap.Peer, reg Registration) (returned bool) {
	s.mu.Lock()
	old := s.live[reg.Device]
	if old != nil && old.peer == p && old.registration.ID == reg.ID {
		old.registration = reg
		s.mu.Unlock()
		return false
	}
	if old != nil {
		s.forget(reg.Device, old)
	}
	if other, ok := s.peers[p]; ok { // one association, one device: the later name counts
		s.forget(other, s.live[other])
	}
	s.live[reg.Device] = &session{peer: p, registration: reg, observations: map[lwm2m.Path]*coap.Observation{}}
	s.peers[p] = reg.Device
	s.mu.Unlock()
	if old != nil {
		for _, o := range old.observations {
			o.Forget()
		}
	}
	return true
}

// began runs after the answer to a Register left: not before it may the server
// send requests (§6.2.1).
func (s *Server) began(device fleet.ID, kind Happening) {
	s.establish(device)
	s.emit(Event{Kind: kind, Device: device})
}

// newLocation returns 128 random bits in 22 characters.
func newLocation() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}
