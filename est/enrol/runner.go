package enrol

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
)

// Devices is what a Runner needs of devices.
type Devices interface {
	// Listens says whether a device is registered and awake, and if not, when its
	// next message is to be expected; zero: unknown. It sends nothing.
	Listens(id fleet.ID) (bool, time.Time)
	// Instances returns the instances of an object that the device registered.
	Instances(ctx context.Context, id fleet.ID, object uint16) ([]uint16, error)
	// Read reads an object instance. It returns ErrAsleep, ErrUnreachable or ErrRefused.
	Read(ctx context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error)
	// Execute executes a resource. Its errors are those of Read.
	Execute(ctx context.Context, id fleet.ID, p lwm2m.Path, args string) error
}

// Fleet says whose devices are; fleet.Store is one.
type Fleet interface {
	// Device returns fleet.ErrUnknown if there is none with that id.
	Device(ctx context.Context, id fleet.ID) (fleet.Device, error)
}

// Inventory is what the authority knows; *est.CA is one.
type Inventory interface {
	// Lookup returns est.ErrUnknown for a certificate that it does not hold.
	Lookup(ctx context.Context, hash est.Hash) (est.Record, error)
}

// RunnerOptions configure a Runner. Store, Devices, Fleet and Inventory are
// required.
type RunnerOptions struct {
	Store     Store
	Devices   Devices
	Fleet     Fleet
	Inventory Inventory
	// Object is the id of object Enrolment; 0: nobody chose one, and no device can be
	// asked. Then the Runner only watches.
	Object uint16
	// Policies are those of the profiles named; "" is that of all others.
	Policies map[string]Policy
	// RekeyArrived has devices that come from another provider re-key their factory
	// certificates, unless they made the keys themselves.
	RekeyArrived bool
	// Comeback says in words how a device whose certificate ended may come back.
	Comeback string

	Workers int           // devices asked at once; 32
	Rate    int           // devices asked in a minute; 600
	Retry   time.Duration // first pause after a failure, doubling to an hour; 30 s
	Answer  time.Duration // for a device that agreed to renew; 2 min
	Proof   time.Duration // for a new certificate to be used; 1 h
	Pause   time.Duration // after giving up; 6 h
	Tries   int           // before giving up; 8

	Changed func(Enrolment) // told after each change, must not block; nil: nobody
	Log     *slog.Logger    // nil: none
}

// A Runner leads devices through renewal. In memory are those that are in hand or
// whose time comes within the hour.
type Runner struct {
	o     RunnerOptions
	rules rules
	pace  pace
	wake  chan struct{}
	feeds sync.Mutex // held while issuances are taken over

	mu      sync.Mutex
	tracks  map[fleet.ID]*track
	due     fleet.DueQueue // of tracks; entries may be out of date
	until   time.Time      // up to where the Store's are in tracks
	news    bool           // something was issued
	counted map[Event]uint64
}

const (
	defaultWorkers = 32
	defaultRate    = 600
	defaultRetry   = 30 * time.Second
	defaultAnswer  = 2 * time.Minute
	defaultProof   = time.Hour
	defaultPause   = 6 * time.Hour
	defaultTries   = 8
	longestRetry   = time.Hour

	horizon     = time.Hour        // how far ahead enrolments are in memory
	asleepLook  = 15 * time.Minute // between two looks at a device that sleeps
	callTimeout = 3 * time.Minute  // of one operation: all retransmissions (RFC 7252 §4.8.2)
	page        = 256              // rows read or written at a time
	broken      = 5 * time.Second  // after an error of the Store
)

func (o *RunnerOptions) complete() error {
	if o.Store == nil || o.Devices == nil || o.Fleet == nil || o.Inventory == nil {
		return fmt.Errorf("%w: a Runner needs a store, devices, a fleet and an inventory", ErrOptions)
	}
	if o.Workers < 0 || o.Rate < 0 || o.Tries < 0 {
		return fmt.Errorf("%w: negative workers, rate or tries", ErrOptions)
	}
	number := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	pause := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	number(&o.Workers, defaultWorkers)
	number(&o.Rate, defaultRate)
	number(&o.Tries, defaultTries)
	pause(&o.Retry, defaultRetry)
	pause(&o.Answer, defaultAnswer)
	pause(&o.Proof, defaultProof)
	pause(&o.Pause, defaultPause)
	if o.Changed == nil {
		o.Changed = func(Enrolment) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// NewRunner validates o; Run it. It returns ErrOptions or ErrPolicy.
func NewRunner(o RunnerOptions) (*Runner, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	policies := map[string]Policy{"": {}}
	maps.Copy(policies, o.Policies)
	for name, p := range policies {
		var err error
		if policies[name], err = p.WithDefaults(); err != nil {
			return nil, fmt.Errorf("profile %q: %w", name, err)
		}
	}
	return &Runner{
		o: o, wake: make(chan struct{}, 1), tracks: map[fleet.ID]*track{}, counted: map[Event]uint64{}, news: true,
		pace: pace{gap: time.Minute / time.Duration(o.Rate)},
		rules: rules{policies: policies, pacing: pacing{
			first: o.Retry, longest: max(longestRetry, o.Retry), answer: o.Answer, proof: o.Proof, pause: o.Pause,
			tries: o.Tries,
		}},
	}, nil
}

// Issued tells that the authority issued certificates. It does not block.
func (r *Runner) Issued() {
	r.mu.Lock()
	r.news = true
	r.mu.Unlock()
	r.nudge()
}

// Wake tells that a device registered or sent something. It does not block, and
// costs one look-up for a device that is not in hand.
func (r *Runner) Wake(device fleet.ID) {
	r.mu.Lock()
	t := r.tracks[device]
	if t == nil || !t.waits {
		r.mu.Unlock()
		return
	}
	t.poked = true
	if at := t.looked.Add(shortest); !t.busy && at.Before(t.at) { // a device that talks much is looked at once a second
		r.schedule(device, at)
	}
	r.mu.Unlock()
	r.nudge()
}

func (r *Runner) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run leads devices until ctx ends and returns after its last goroutine.
func (r *Runner) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, r.o.Workers)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		next := now.Add(horizon / 2)
		if err := r.refresh(ctx, now); err != nil {
			r.logged(ctx, "reading enrolments", err)
			next = now.Add(broken)
		}
		if at := r.dispatch(ctx, &wg, slots); !at.IsZero() && at.Before(next) {
			next = at
		}
		timer.Reset(max(time.Until(next), 0))
		select {
		case <-timer.C:
		case <-r.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// refresh takes over what was issued, and those whose time comes soon.
func (r *Runner) refresh(ctx context.Context, now time.Time) error {
	r.mu.Lock()
	news, until := r.news, r.until
	r.news = false
	r.mu.Unlock()
	if news {
		if err := r.feed(ctx); err != nil {
			r.Issued()
			return err
		}
	}
	if until.After(now.Add(horizon / 2)) {
		return nil
	}
	return r.load(ctx, now, now.Add(horizon))
}

// dispatch hands those that are due to workers as long as one is free, and returns
// when the next is; zero: nobody knows. A worker that becomes free wakes Run.
func (r *Runner) dispatch(ctx context.Context, wg *sync.WaitGroup, slots chan struct{}) time.Time {
	for {
		select {
		case slots <- struct{}{}:
		default:
			return time.Time{}
		}
		device, next, ok := r.take(time.Now())
		if !ok {
			<-slots
			return next
		}
		wg.Go(func() {
			defer func() {
				<-slots
				r.nudge()
			}()
			r.serve(ctx, device)
		})
	}
}

// Stats are counts since the start.
type Stats struct {
	InHand int // enrolments in memory
	Events map[Event]uint64
}

// Stats returns the counts.
func (r *Runner) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{InHand: len(r.tracks), Events: maps.Clone(r.counted)}
}

func (r *Runner) logged(ctx context.Context, doing string, err error) {
	if err != nil && ctx.Err() == nil {
		r.o.Log.LogAttrs(ctx, slog.LevelError, "enrolment", slog.String("doing", doing), slog.Any("error", err))
	}
}
