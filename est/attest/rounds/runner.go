package rounds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"steward/est/attest"
	"steward/lwm2m/fleet"
)

// Options configure a Runner. Store, Listens, Ask and Find are required.
type Options struct {
	Store Store
	// Listens reports whether a device is registered and awake. It sends nothing.
	Listens func(fleet.ID) bool
	// Ask has the device prove what it runs; Judged hears of the verdict before it
	// returns. It returns ErrSilent.
	Ask func(ctx context.Context, device fleet.ID) error
	// Find returns the device with a factory certificate, or fleet.ErrUnknown.
	Find func(ctx context.Context, factory fleet.Factory) (fleet.ID, error)
	// Told hears of devices that turned bad (alert) or good again. It must not block;
	// nil: nobody is told.
	Told func(r Round, alert bool)

	Workers int           // devices asked at once; 16
	Rate    int           // devices asked in a minute; 600
	Retry   time.Duration // first pause after a failure, doubling; 30 s
	Tries   int           // before giving up until the next round; 5
	Log     *slog.Logger  // nil: none
}

const (
	defaultWorkers = 16
	defaultRate    = 600
	defaultRetry   = 30 * time.Second
	defaultTries   = 5

	page      = 256              // rows read at a time
	maxNews   = 4096             // devices to look at; beyond, all are
	idle      = 10 * time.Minute // between two looks if nothing is due: the clock may have been set
	broken    = 5 * time.Second  // after an error of the Store
	callLimit = 3 * time.Minute  // of one question: all retransmissions (RFC 7252 §4.8.2)
	conflicts = 8                // of one Round that are met by trying again
	longest   = time.Hour        // between two tries

	maxDoublings = 10 // of the pause between two tries
)

// New validates o; Run the Runner. It returns ErrOptions.
func New(o Options) (*Runner, error) {
	if o.Store == nil || o.Listens == nil || o.Ask == nil || o.Find == nil || o.Workers < 0 || o.Rate < 0 || o.Tries < 0 {
		return nil, fmt.Errorf("%w: store, devices and fleet are required", ErrOptions)
	}
	for _, n := range []struct {
		value *int
		or    int
	}{{&o.Workers, defaultWorkers}, {&o.Rate, defaultRate}, {&o.Tries, defaultTries}} {
		if *n.value == 0 {
			*n.value = n.or
		}
	}
	if o.Retry <= 0 {
		o.Retry = defaultRetry
	}
	if o.Told == nil {
		o.Told = func(Round, bool) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Runner{
		o: o, nudged: make(chan struct{}, 1), all: true, news: map[fleet.ID]struct{}{}, busy: map[fleet.ID]struct{}{},
		waiting: map[fleet.ID]struct{}{},
	}, nil
}

// A Runner asks devices when their time comes. It is safe for concurrent use.
type Runner struct {
	o      Options
	nudged chan struct{}

	mu      sync.Mutex
	all     bool                  // every device is to be looked at
	ruled   bool                  // there is a rule
	news    map[fleet.ID]struct{} // devices to be looked at
	busy    map[fleet.ID]struct{} // being asked
	waiting map[fleet.ID]struct{} // asked as soon as they listen
	free    time.Time             // before it nobody is asked
}

// Reconsider tells that rules changed. It does not block.
func (r *Runner) Reconsider() {
	r.mu.Lock()
	r.all = true
	r.mu.Unlock()
	r.nudge()
}

// Consider tells that the tags or the key of a device changed, or that it
// registered. It does not block; without rules it costs nothing.
func (r *Runner) Consider(device fleet.ID) {
	r.mu.Lock()
	_, waits := r.waiting[device]
	if !r.ruled && !waits {
		r.mu.Unlock()
		return
	}
	if r.news[device] = struct{}{}; len(r.news) > maxNews {
		r.all, r.news = true, map[fleet.ID]struct{}{}
	}
	r.mu.Unlock()
	r.nudge()
}

// Wake tells that a device sent something. It does not block, and costs one look-up
// in memory for a device that is not waited for.
func (r *Runner) Wake(device fleet.ID) {
	r.mu.Lock()
	_, waits := r.waiting[device]
	if waits {
		r.news[device] = struct{}{}
	}
	r.mu.Unlock()
	if waits {
		r.nudge()
	}
}

func (r *Runner) nudge() {
	select {
	case r.nudged <- struct{}{}:
	default:
	}
}

// Judged notes a verdict, whoever asked for it.
func (r *Runner) Judged(ctx context.Context, v attest.Result) error {
	id, err := r.o.Find(ctx, fleet.Factory(v.Device))
	if errors.Is(err, fleet.ErrUnknown) { // it comes, and is not known here yet
		return nil
	}
	if err != nil {
		return err
	}
	return r.change(ctx, id, func(round *Round, now time.Time) (move, error) { return round.settle(v, now) })
}

// change has do change the round of a device, and tells of it.
func (r *Runner) change(ctx context.Context, device fleet.ID, do func(*Round, time.Time) (move, error)) error {
	for range conflicts {
		round, err := r.o.Store.Round(ctx, device)
		if err != nil {
			return err
		}
		before := round
		m, err := do(&round, time.Now())
		if err != nil {
			return err
		}
		if round != before {
			err = r.o.Store.Commit(ctx, round, m.rows...)
		}
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		r.follow(round)
		if m.told {
			r.o.Told(round, m.alert)
		}
		return nil
	}
	return fmt.Errorf("attestation of %s: %w", device, ErrConflict)
}

// follow keeps in mind who is waited for.
func (r *Runner) follow(round Round) {
	r.mu.Lock()
	if round.Waiting {
		r.waiting[round.Device] = struct{}{}
	} else {
		delete(r.waiting, round.Device)
	}
	r.mu.Unlock()
	r.nudge()
}
