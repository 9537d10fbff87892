// Package server is the LwM2M server: registrations, operations on devices and
// observations (Core 1.2.2 §6.2, §6.3, §6.4), for LwM2M 1.0, 1.1 and 1.2.
//
// Observations are desired state: what is wanted is stored, and established
// anew after every Register and whenever a device returns by a new association.
//
// A device in queue mode listens for a while after each of its messages (§6.5).
// Operations on one that does not are refused with an *AsleepError; package queue
// holds them until it does.
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
	// ErrUnauthorized reports an association that proved nothing where proof is
	// needed; 4.01.
	ErrUnauthorized = errors.New("device must authenticate itself")
	// ErrForbidden reports a device that may not register here; 4.03.
	ErrForbidden = errors.New("device may not register here")
)

// Exchanger carries requests to devices; *coap.Engine is one.
type Exchanger interface {
	// Do returns the answer, whatever its code, or why there is none:
	// coap.ErrTimeout, ErrReset, ErrClosed, ErrBusy or the error of ctx.
	Do(ctx context.Context, p coap.Peer, r *coap.Request) (*coap.Response, error)
	// Observe is Do for an observation, which is nil if the peer did not accept.
	Observe(ctx context.Context, p coap.Peer, r *coap.Request, notify func(*coap.Response)) (
		*coap.Response, *coap.Observation, error)
}

// Options configure a Server. All fields without a default are required.
type Options struct {
	Store     Store
	Exchanger Exchanger
	Schema    lwm2m.Schema
	// Identify says which device an endpoint name is, by what the association
	// proved. It returns ErrIdentity, ErrUnauthorized or ErrForbidden, and audits
	// refusals. It is asked at every Register and De-register, and at Updates other
	// than refreshes by an association of which it was asked before; see Doubt.
	Identify func(ctx context.Context, who coap.Identity, ep lwm2m.Endpoint) (fleet.ID, error)
	// Find returns the association that a device has from an earlier run of the
	// program, by which it can be asked before it has spoken in this one. nil: none
	// has.
	Find func(ep lwm2m.Endpoint) (coap.Peer, bool)
	// Signs keeps refreshes on their way to the Store. nil: each goes there at once.
	Signs Log
	// Tolerant lets devices of 1.1 and later say queue mode as 1.0 does (b=UQ), which
	// is 4.00 otherwise.
	Tolerant bool

	Log     *slog.Logger  // nil: none
	Workers int           // devices whose observations are established at once, at most; 512
	Sweep   time.Duration // how often expired registrations are removed; 1 s
	Awake   time.Duration // how long a device in queue mode listens after a message, in seconds; 93 s
}

// A Server is the LwM2M server of one provider. Safe for concurrent use.
type Server struct {
	o        Options
	subs     subscribers
	recorder *recorder

	mu        sync.Mutex
	devices   map[fleet.ID]*entry // all that are registered
	locations map[Location]*entry // the same
	peers     map[coap.Peer]*entry
	turns     map[fleet.ID]*turn
	forms     forms
	profiles  profiles
	refusals  map[fleet.ID][]refusal // of devices that have some
	expiry    expiry
	doubts    uint64   // rises with each call of Doubt
	wants     uint64   // rises with each observation that is wanted
	dirty     []*entry // refreshed since they were stored
	fold      folding
	agenda    agenda
}

const defaultWorkers = 512

// New returns a Server that knows what is registered by its Store; Run it, and
// give it the requests below /rd and /dp. The exchanger must tell Closed of
// associations that end. It returns the errors of the Store and of the log.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Store == nil || o.Exchanger == nil || o.Identify == nil || o.Schema == nil {
		return nil, errors.New("server: Store, Exchanger, Identify and Schema are required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Workers == 0 {
		o.Workers = defaultWorkers
	}
	if o.Sweep == 0 {
		o.Sweep = time.Second
	}
	if o.Awake == 0 {
		o.Awake = defaultAwake
	}
	if o.Workers < 0 || o.Sweep < 0 || o.Awake < 0 {
		return nil, errors.New("server: Workers, Sweep and Awake must not be negative")
	}
	o.Exchanger = tapped{o.Exchanger}
	s := &Server{
		o: o, recorder: newRecorder(), agenda: agenda{hint: make(chan struct{}, 1)},
		devices: map[fleet.ID]*entry{}, locations: map[Location]*entry{}, peers: map[coap.Peer]*entry{},
		turns: map[fleet.ID]*turn{}, forms: forms{}, refusals: map[fleet.ID][]refusal{},
		profiles: profiles{known: map[profileKey]profile{}},
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Run establishes observations, removes expired registrations and stores what may
// be stored late, until ctx ends. It returns after its last goroutine, when all is
// stored.
func (s *Server) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.dispatch(ctx, &wg) })
	wg.Go(func() { s.keepRecords(ctx) })
	wg.Go(func() { s.keepRefreshes(ctx) })
	tick := time.NewTicker(s.o.Sweep)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.sweep(ctx)
			s.remind(now)
		case <-ctx.Done():
			wg.Wait()
			return nil
		}
	}
}

// ended logs and tells that a registration is gone.
func (s *Server) ended(ctx context.Context, r Registration, kind Happening, reason string) {
	s.o.Log.LogAttrs(ctx, slog.LevelInfo, "registration ended", slog.String("endpoint", string(r.Endpoint)),
		slog.String("how", string(kind)), slog.String("reason", reason))
	s.emit(Event{Kind: kind, Device: r.Device})
}

// Dismiss ends the registration of a device on our own account, such as after
// its certificate was revoked. A device without one is no error.
func (s *Server) Dismiss(ctx context.Context, device fleet.ID, reason string) error {
	release, err := s.turn(ctx, device)
	if err != nil {
		return err
	}
	defer release()
	r, err := s.lookup(device)
	if err == nil {
		err = s.remove(ctx, r, "system", reason)
	}
	if errors.Is(err, ErrNotRegistered) {
		return nil
	}
	if err != nil {
		return err
	}
	s.ended(ctx, r, Deregistered, reason)
	return nil
}

// remove ends a registration and what hangs on it. The caller has the turn.
func (s *Server) remove(ctx context.Context, r Registration, actor, reason string) error {
	err := s.o.Store.Remove(ctx, r, actor, reason)
	if err == nil || errors.Is(err, ErrNotRegistered) {
		s.drop(r.Device, r.ID)
	}
	return err
}

// Registration returns that of a device, or ErrNotRegistered. Its slices must not
// be changed.
func (s *Server) Registration(device fleet.ID) (Registration, error) { return s.lookup(device) }
