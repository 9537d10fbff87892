// Package bootstrap is the LwM2M Bootstrap-Server (Core 1.2.2 §6.1): it finds
// out what a device holds, compares that with what the device is to hold, and
// deletes and writes the difference.
//
// It never writes over, and never deletes, the account by which a device reaches
// it: everything is named instance by instance, and instance identifiers that the
// device uses for bootstrap accounts are left alone.
package bootstrap

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

var (
	// ErrIdentity is what Options.Identify returns for an endpoint name that is
	// unknown or does not belong to the identity of the association; 4.00.
	ErrIdentity = errors.New("endpoint unknown, or not that of the security identity")
	// ErrUnauthorized is what Options.Identify returns for an association that
	// proved nothing where proof is needed; 4.01.
	ErrUnauthorized = errors.New("device must authenticate itself")
	// ErrNoConfiguration is what Options.Configure returns for a device that no
	// profile says anything about; 4.00.
	ErrNoConfiguration = errors.New("no bootstrap profile for the device")
	// ErrConfiguration reports a configuration that no device can be given.
	ErrConfiguration = errors.New("unusable bootstrap configuration")
)

// Exchanger carries requests to devices; *coap.Engine is one.
type Exchanger interface {
	// Do returns the answer, whatever its code, or why there is none:
	// coap.ErrTimeout, ErrReset, ErrClosed, ErrBusy or the error of ctx.
	Do(ctx context.Context, p coap.Peer, r *coap.Request) (*coap.Response, error)
}

// Options configure a Server. Fields without a default are required.
type Options struct {
	Store     Store
	Exchanger Exchanger
	Schema    lwm2m.Schema
	// Identify says which device an endpoint name is, by what the association
	// proved. It returns ErrIdentity or ErrUnauthorized, and audits refusals.
	Identify func(ctx context.Context, who coap.Identity, ep lwm2m.Endpoint) (fleet.ID, error)
	// Configure returns what the device is to hold, or ErrNoConfiguration.
	Configure func(ctx context.Context, device fleet.ID) (Configuration, error)
	Ended     func(Report) // told when a session is over; nil: nobody
	// Finishing is told, before the device is, that all it is to hold was written, or
	// is about to be by a pack: what it may do next on the same association it may do
	// from then on. Nil: nobody is told.
	Finishing func(ctx context.Context, p coap.Peer, device fleet.ID)
	Log       *slog.Logger // nil: none
	Workers   int          // sessions at once; 64
	Waiting   int          // sessions that wait for a worker; 1024
	// Budget bounds one session: a device gives up when no Finish has come within
	// EXCHANGE_LIFETIME (§6.1.6). 247 s.
	Budget time.Duration
}

const (
	defaultWorkers = 64
	defaultWaiting = 1024
	defaultBudget  = 247 * time.Second
)

// A Server is the Bootstrap-Server of one provider. Safe for concurrent use.
type Server struct {
	o    Options
	jobs chan *session

	mu      sync.Mutex
	current map[fleet.ID]*session // the newest session of each device that has one
}

// New returns a Server; Run it, and give it the requests for /bs and /bspack.
func New(o Options) (*Server, error) {
	if o.Store == nil || o.Exchanger == nil || o.Schema == nil || o.Identify == nil || o.Configure == nil {
		return nil, errors.New("bootstrap: Store, Exchanger, Schema, Identify and Configure are required")
	}
	if o.Workers < 0 || o.Waiting < 0 || o.Budget < 0 {
		return nil, errors.New("bootstrap: Workers, Waiting and Budget must not be negative")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Ended == nil {
		o.Ended = func(Report) {}
	}
	if o.Finishing == nil {
		o.Finishing = func(context.Context, coap.Peer, fleet.ID) {}
	}
	if o.Workers == 0 {
		o.Workers = defaultWorkers
	}
	if o.Waiting == 0 {
		o.Waiting = defaultWaiting
	}
	if o.Budget == 0 {
		o.Budget = defaultBudget
	}
	return &Server{o: o, jobs: make(chan *session, o.Waiting), current: map[fleet.ID]*session{}}, nil
}

// Run leads devices through their sessions until ctx ends, and returns after its
// last goroutine. Sessions that an earlier run of the program left unfinished are
// noted as failed first: their devices come again.
func (s *Server) Run(ctx context.Context) error {
	if err := s.o.Store.Interrupt(ctx, time.Now(), "the server was restarted; the device comes again"); err != nil {
		s.o.Log.LogAttrs(ctx, slog.LevelError, "interrupted bootstraps", slog.Any("error", err))
	}
	var wg sync.WaitGroup
	for range s.o.Workers {
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case x := <-s.jobs:
					s.lead(ctx, x)
				}
			}
		})
	}
	wg.Wait()
	return nil
}
