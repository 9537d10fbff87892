// Package server is the LwM2M server: registrations, operations on devices and
// observations (Core 1.2.2 §6.2, §6.3, §6.4), for LwM2M 1.0, 1.1 and 1.2.
//
// Observations are desired state: what is wanted is stored, and established
// anew after every Register and whenever a device returns by a new association.
package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// Errors that Options.Identify returns.
var (
	// ErrIdentity reports that the endpoint name does not belong to the identity
	// of the association; 4.00 (§6.2.1).
	ErrIdentity = errors.New("endpoint does not match the security identity")
	// ErrForbidden reports a device that may not register here; 4.03.
	ErrForbidden = errors.New("device may not register here")
)

// ErrUnreachable reports a registered device that has not spoken since this
// process started: it can be reached after its next message.
var ErrUnreachable = errors.New("device has no live association")

// Exchanger carries requests to devices; *coap.Engine is one.
type Exchanger interface {
	Do(ctx context.Context, p coap.Peer, r *coap.Request) (*coap.Response, error)
	Observe(ctx context.Context, p coap.Peer, r *coap.Request, notify func(*coap.Response)) (
		*coap.Response, *coap.Observation, error)
}

// Options configure a Server. All fields without a default are required.
type Options struct {
	Store     Store
	Exchanger Exchanger
	Schema    lwm2m.Schema
	// Identify says which device an endpoint name is, by what the association
	// proved. It returns ErrIdentity or ErrForbidden, and audits refusals.
	Identify func(ctx context.Context, who coap.Identity, ep lwm2m.Endpoint) (fleet.ID, error)
	Log      *slog.Logger  // nil: none
	Workers  int           // observations established at once; 16
	Sweep    time.Duration // how often expired registrations are removed; 1 s
}

// A Server is the LwM2M server of one provider. Safe for concurrent use.
type Server struct {
	o    Options
	subs subscribers

	// jobs are devices whose observations are to be established.
	jobs chan fleet.ID

	mu    sync.Mutex
	live  map[fleet.ID]*session
	peers map[coap.Peer]fleet.ID // the same sessions by their association
}

// A session is a registered device that can be reached now.
type session struct {
	peer         coap.Peer
	registration Registration
	observations map[lwm2m.Path]*coap.Observation
}

// maxJobs bounds the devices that wait for their observations; beyond it they
// wait for their next Update.
const maxJobs = 65536

// New returns a Server; Run it, and give it the requests below /rd and /dp.
func New(o Options) (*Server, error) {
	if o.Store == nil || o.Exchanger == nil || o.Identify == nil || o.Schema == nil {
		return nil, errors.New("server: Store, Exchanger, Identify and Schema are required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Workers == 0 {
		o.Workers = 16
	}
	if o.Sweep == 0 {
		o.Sweep = time.Second
	}
	return &Server{o: o, jobs: make(chan fleet.ID, maxJobs), live: map[fleet.ID]*session{}, peers: map[coap.Peer]fleet.ID{}}, nil
}

// Run establishes observations and removes expired registrations until ctx
// ends. It returns after its last goroutine.
func (s *Server) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range s.o.Workers {
		wg.Go(func() { s.work(ctx) })
	}
	tick := time.NewTicker(s.o.Sweep)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.sweep(ctx)
		case <-ctx.Done():
			wg.Wait()
			return nil
		}
	}
}

// sweepBatch bounds what one sweep reads at a time.
const sweepBatch = 256

// sweep removes registrations whose lifetime is over (§6.2.2).
func (s *Server) sweep(ctx context.Context) {
	for {
		gone, err := s.o.Store.Expired(ctx, time.Now(), sweepBatch)
		if err != nil {
			if ctx.Err() == nil {
				s.o.Log.LogAttrs(ctx, slog.LevelError, "expiry", slog.Any("error", err))
			}
			return
		}
		for _, r := range gone {
			s.remove(ctx, r, "lifetime over", Expired)
		}
		if len(gone) < sweepBatch {
			return
		}
	}
}

// remove ends a registration and what hangs on it.
func (s *Server) remove(ctx context.Context, r Registration, reason string, kind Happening) {
	err := s.o.Store.Remove(ctx, r.ID, reason)
	if err != nil {
		if !errors.Is(err, ErrNotRegistered) && ctx.Err() == nil {
			s.o.Log.LogAttrs(ctx, slog.LevelError, "removing a registration",
				slog.String("endpoint", string(r.Endpoint)), slog.Any("error", err))
		}
		return
	}
	s.drop(r.Device, r.ID)
	s.o.Log.LogAttrs(ctx, slog.LevelInfo, string(kind), slog.String("endpoint", string(r.Endpoint)),
		slog.String("reason", reason))
	s.emit(Event{Kind: kind, Device: r.Device})
}

// drop forgets the session of the device if it belongs to the registration id.
func (s *Server) drop(device fleet.ID, id string) {
	s.mu.Lock()
	old := s.live[device]
	if old == nil || old.registration.ID != id {
		s.mu.Unlock()
		return
	}
	s.forget(device, old)
	s.mu.Unlock()
	for _, o := range old.observations {
		o.Forget()
	}
}

// forget takes a session out of both maps. The caller holds mu.
func (s *Server) forget(device fleet.ID, old *session) {
	delete(s.live, device)
	if s.peers[old.peer] == device {
		delete(s.peers, old.peer)
	}
}

// Closed tells the server that an association ended: devices behind it are
// unreachable until they speak again. Transport calls it.
func (s *Server) Closed(p coap.Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, ok := s.peers[p]; ok {
		s.forget(id, s.live[id])
	}
}

// Dismiss ends the registration of a device on our own account, such as after
// its certificate was revoked. A device without one is no error.
func (s *Server) Dismiss(ctx context.Context, device fleet.ID, reason string) error {
	r, err := s.o.Store.OfDevice(ctx, device)
	if errors.Is(err, ErrNotRegistered) {
		return nil
	}
	if err != nil {
		return err
	}
	s.remove(ctx, r, reason, Deregistered)
	return nil
}

// Registration returns that of a device, or ErrNotRegistered.
func (s *Server) Registration(ctx context.Context, device fleet.ID) (Registration, error) {
	return s.o.Store.OfDevice(ctx, device)
}

// Reachable reports whether the device has a live association.
func (s *Server) Reachable(device fleet.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[device] != nil
}
