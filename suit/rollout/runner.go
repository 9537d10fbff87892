package rollout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
)

// Errors that a Devices or a Deliverer returns so that the Runner can tell them
// apart.
var (
	// ErrUnreachable reports a device that cannot be asked now; the job waits.
	ErrUnreachable = errors.New("device cannot be reached now")
	// ErrAsleep is an ErrUnreachable of a device in queue mode, which listens again
	// after its next message. Such tries do not count.
	ErrAsleep = fmt.Errorf("%w: in queue mode", ErrUnreachable)
	// ErrRefused reports a device that answered with an error of its own.
	ErrRefused = errors.New("device refused")
)

// Devices is what a Runner needs of devices.
type Devices interface {
	// Read reads an object instance. It returns ErrUnreachable or ErrRefused.
	Read(ctx context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error)
	// Write replaces one resource. It returns ErrUnreachable or ErrRefused.
	Write(ctx context.Context, id fleet.ID, p lwm2m.Path, v lwm2m.Value) error
	// Execute executes a resource. It returns ErrUnreachable or ErrRefused.
	Execute(ctx context.Context, id fleet.ID, p lwm2m.Path) error
	// Observe asks for notifications of p from now on; the values come to the
	// Runner by Wake.
	Observe(ctx context.Context, id fleet.ID, p lwm2m.Path) error
}

// RunnerOptions configure a Runner. Fields without a default are required.
type RunnerOptions struct {
	Store   Store
	Devices Devices
	// Deliverer leads devices through their updates; nil: by object 5.
	Deliverer Deliverer
	// URI returns where devices fetch the envelope of a release; needed without a
	// Deliverer.
	URI func(release string) string
	// People returns how many may approve; nil: one. With more than one, who drafted
	// a campaign does not approve it.
	People   func(ctx context.Context) (int, error)
	Log      *slog.Logger    // nil: none
	Workers  int             // devices served at once, of which half may be silent; 128
	Poll     time.Duration   // first interval at which a silent device is asked; 2 s, doubling
	MaxTries int             // to reach a silent device, before its job fails; 40
	Discover time.Duration   // between two looks for devices that join late; 30 s
	Changed  func(j Job)     // told after each change; nil: nobody
	Moved    func(id string) // told after each change of a campaign itself; nil: nobody
}

// A Runner leads campaigns through their waves and devices through their updates.
// What it must look at is in memory: the campaigns that are not over and the jobs
// that are in hand. An event of any other device costs one look-up there.
type Runner struct {
	o    RunnerOptions
	wake chan struct{}

	mu        sync.Mutex
	loaded    bool
	open      map[fleet.ID]*openJob
	due       fleet.DueQueue        // of open; entries may be out of date
	loading   map[string]int        // jobs of open that take a place for downloads, by campaign
	crowds    map[string][]fleet.ID // those that wait for such a place, by campaign
	unheard   map[string]int        // jobs of open whose device has not answered yet, by campaign
	slow      int                   // workers that ask silent devices; half of them at most
	parked    []fleet.ID            // silent devices that are due, and wait for such a worker
	campaigns map[string]*campaignTrack
}

const (
	maxPoll     = 15 * time.Minute // the longest interval between two questions
	callTimeout = 10 * time.Minute // of one operation, but for a push
	batch       = 256              // rows read or begun at a time
	longest     = time.Minute      // between two looks at anything
	firstPoll   = 2 * time.Second
)

// NewRunner returns a Runner; Run it.
func NewRunner(o RunnerOptions) (*Runner, error) {
	if o.Store == nil || o.Devices == nil || o.Deliverer == nil && o.URI == nil {
		return nil, errors.New("rollout: Store, Devices, and Deliverer or URI are required")
	}
	if o.Deliverer == nil {
		o.Deliverer = FirmwareObject{Devices: o.Devices, Store: o.Store, URI: o.URI}
	}
	if o.People == nil {
		o.People = func(context.Context) (int, error) { return 1, nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Workers == 0 {
		o.Workers = 128
	}
	if o.Poll == 0 {
		o.Poll = firstPoll
	}
	if o.MaxTries == 0 {
		o.MaxTries = 40
	}
	if o.Discover == 0 {
		o.Discover = 30 * time.Second
	}
	if o.Changed == nil {
		o.Changed = func(Job) {}
	}
	if o.Moved == nil {
		o.Moved = func(string) {}
	}
	return &Runner{
		o: o, wake: make(chan struct{}, 1), open: map[fleet.ID]*openJob{}, campaigns: map[string]*campaignTrack{},
		loading: map[string]int{}, unheard: map[string]int{}, crowds: map[string][]fleet.ID{},
	}, nil
}

// Wake tells the Runner that a device registered or notified; "" that something
// changed which campaigns depend on. It does not block, and does nothing for a
// device that no campaign has in hand.
func (r *Runner) Wake(device fleet.ID) {
	r.mu.Lock()
	if device == "" {
		for _, t := range r.campaigns {
			t.dirty = true
		}
	}
	e, ok := r.open[device]
	if ok {
		e.poked = true
		if !e.busy && !e.job.waits() {
			r.due.Add(device, time.Time{})
			e.at = time.Time{}
		}
	}
	r.mu.Unlock()
	if ok || device == "" {
		r.nudge()
	}
}

// nudge lets Run look again.
func (r *Runner) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run leads campaigns until ctx ends and returns after its last goroutine.
func (r *Runner) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, r.o.Workers)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next := time.Now().Add(longest)
		if err := r.load(ctx); err != nil {
			r.broken(ctx, "loading campaigns", err)
			next = time.Now().Add(r.o.Poll)
		} else {
			next = earliest(next, r.advance(ctx))
			next = earliest(next, r.dispatch(ctx, &wg, slots))
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

// earliest returns the earlier of two times, of which zero means none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// dispatch hands due jobs to workers as long as one is free, and returns when the
// next one is due. A worker that becomes free wakes Run.
func (r *Runner) dispatch(ctx context.Context, wg *sync.WaitGroup, slots chan struct{}) time.Time {
	for {
		select {
		case slots <- struct{}{}:
		default:
			return time.Time{}
		}
		j, next, ok := r.take(time.Now())
		if !ok {
			<-slots
			return next
		}
		wg.Go(func() {
			defer func() {
				<-slots
				r.nudge()
			}()
			r.serve(ctx, j)
		})
	}
}

// serve takes a job as far as it goes without waiting.
func (r *Runner) serve(ctx context.Context, j Job) {
	defer r.leave(j.Device)
	for j.State.Open() && ctx.Err() == nil {
		next, on := r.step(ctx, j)
		if ctx.Err() != nil {
			return
		}
		stored, ok := r.store(ctx, j, next, on)
		if !ok || on == "" || stored.State == Waiting {
			return
		}
		j = stored
	}
}

// store writes what step decided. It returns the job as it now stands, and false
// if it is no more what this worker believed, or could not be stored.
func (r *Runner) store(ctx context.Context, before, j Job, on JobEvent) (Job, bool) {
	now := time.Now()
	j.UpdatedAt = now
	if on != "" {
		row, err := JobTable.Step(before.State, on)
		if err != nil {
			r.broken(ctx, "update step", err)
			r.postpone(j.Device, now.Add(r.o.Poll))
			return j, false
		}
		j.State, j.Tries = row.To, 0
		if j.State != Waiting {
			j.Due = now
		}
		if j.State.Over() {
			j.EndedAt, j.Aside, j.Silent = now, "", time.Time{}
		}
	}
	if on == "" && before.same(&j) { // only the time has passed
		r.keep(j, before)
		return j, true
	}
	ok, err := r.o.Store.SetJob(ctx, before, j)
	if err != nil {
		r.broken(ctx, "storing an update", err)
		r.postpone(j.Device, now.Add(r.o.Poll))
		return j, false
	}
	if !ok {
		r.reread(ctx, j.Device)
		return j, false
	}
	j.Version = before.Version + 1
	r.keep(j, before)
	r.o.Changed(j)
	r.o.Log.LogAttrs(ctx, slog.LevelInfo, "update", slog.String("device", string(j.Device)),
		slog.String("state", string(j.State)), slog.String("reason", j.Reason))
	return j, true
}

// broken logs an error that is not a device's, unless the Runner is ending.
func (r *Runner) broken(ctx context.Context, doing string, err error) {
	if ctx.Err() == nil {
		r.o.Log.LogAttrs(ctx, slog.LevelError, "updates", slog.String("doing", doing), slog.Any("error", err))
	}
}
