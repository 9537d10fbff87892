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
	"steward/objects"
)

// Errors that a Devices returns so that the Runner can tell them apart.
var (
	// ErrUnreachable reports a device that cannot be asked now; the job waits.
	ErrUnreachable = errors.New("device cannot be reached now")
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
	// URI returns where devices fetch the envelope of a release.
	URI      func(release string) string
	Log      *slog.Logger  // nil: none
	Workers  int           // devices served at once; 32
	Poll     time.Duration // first interval at which a silent device is asked; 2 s, doubling
	MaxTries int           // of one state, before the job fails; 40
	Changed  func(j Job)   // told after each change; nil: nobody
}

// A Runner leads the devices of running campaigns through their updates.
type Runner struct {
	o    RunnerOptions
	wake chan struct{}

	mu   sync.Mutex
	busy map[fleet.ID]bool // devices that a worker has in hand
	poke map[fleet.ID]bool // devices that said something since
}

// The paths of the only Firmware Update instance.
var (
	firmware    = lwm2m.NewPath(objects.FirmwareID, 0)
	packagePath = firmware.Child(objects.FirmwarePackage)
	uriPath     = firmware.Child(objects.FirmwareURI)
	updatePath  = firmware.Child(objects.FirmwareUpdate)
	versionPath = lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceFirmware)
)

const (
	maxPoll     = 15 * time.Minute // the longest interval between two questions
	callTimeout = 10 * time.Minute // of one operation, a block-wise push among them
	dueBatch    = 256              // jobs read at a time
)

// NewRunner returns a Runner; Run it.
func NewRunner(o RunnerOptions) (*Runner, error) {
	if o.Store == nil || o.Devices == nil || o.URI == nil {
		return nil, errors.New("rollout: Store, Devices and URI are required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Workers == 0 {
		o.Workers = 32
	}
	if o.Poll == 0 {
		o.Poll = 2 * time.Second
	}
	if o.MaxTries == 0 {
		o.MaxTries = 40
	}
	if o.Changed == nil {
		o.Changed = func(Job) {}
	}
	return &Runner{o: o, wake: make(chan struct{}, 1), busy: map[fleet.ID]bool{}, poke: map[fleet.ID]bool{}}, nil
}

// Wake tells the Runner that a device registered or notified, or that a
// campaign began. It does not block.
func (r *Runner) Wake(device fleet.ID) {
	if device != "" {
		r.mu.Lock()
		r.poke[device] = true
		r.mu.Unlock()
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run serves due jobs until ctx ends and returns after its last goroutine.
func (r *Runner) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, r.o.Workers)
	tick := time.NewTicker(r.o.Poll / 2)
	defer tick.Stop()
	for {
		for _, j := range r.due(ctx) {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			wg.Go(func() {
				defer func() { <-slots }()
				r.serve(ctx, j)
			})
		}
		select {
		case <-tick.C:
		case <-r.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// due returns the jobs to be looked at and marks their devices as in hand.
func (r *Runner) due(ctx context.Context) []Job {
	jobs, err := r.o.Store.Due(ctx, time.Now(), dueBatch)
	if err != nil && ctx.Err() == nil {
		r.o.Log.LogAttrs(ctx, slog.LevelError, "due updates", slog.Any("error", err))
	}
	for _, id := range r.poked() {
		if j, err := r.o.Store.OfDevice(ctx, id); err == nil {
			jobs = append(jobs, j)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	free := jobs[:0]
	for _, j := range jobs {
		if !r.busy[j.Device] {
			r.busy[j.Device] = true
			free = append(free, j)
		} else {
			r.poke[j.Device] = true // look again when the present worker is done
		}
	}
	return free
}

// poked returns the devices that said something and are not in hand.
func (r *Runner) poked() (out []fleet.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.poke {
		if !r.busy[id] {
			delete(r.poke, id)
			out = append(out, id)
		}
	}
	return out
}

// serve takes a job as far as it goes without waiting.
func (r *Runner) serve(ctx context.Context, j Job) {
	defer func() {
		r.mu.Lock()
		delete(r.busy, j.Device)
		again := r.poke[j.Device]
		r.mu.Unlock()
		if again {
			r.Wake("")
		}
	}()
	for !j.State.Over() && ctx.Err() == nil {
		next, on := r.step(ctx, j)
		if ctx.Err() != nil {
			return
		}
		stored, ok := r.store(ctx, next, j.State, on)
		if !ok || on == "" {
			return
		}
		j = stored
	}
}

// store writes what step decided. It returns the job as it now stands, and false
// if another runner, or an operator, was faster.
func (r *Runner) store(ctx context.Context, j Job, before JobState, on JobEvent) (Job, bool) {
	j.UpdatedAt = time.Now()
	if on != "" {
		row, err := JobTable.Step(before, on)
		if err != nil {
			r.o.Log.LogAttrs(ctx, slog.LevelError, "update step", slog.Any("error", err))
			return j, false
		}
		j.State, j.Tries, j.Due = row.To, 0, j.UpdatedAt
	}
	ok, err := r.o.Store.SetJob(ctx, j, before)
	if err != nil {
		r.o.Log.LogAttrs(ctx, slog.LevelError, "storing an update", slog.Any("error", err))
		return j, false
	}
	if !ok {
		return j, false
	}
	j.Version++
	r.o.Changed(j)
	r.o.Log.LogAttrs(ctx, slog.LevelInfo, "update", slog.String("device", string(j.Device)),
		slog.String("state", string(j.State)), slog.String("reason", j.Reason))
	if j.State.Over() {
		r.finish(ctx, j.Campaign)
	}
	return j, true
}

// finish ends a campaign whose last job is over.
func (r *Runner) finish(ctx context.Context, campaign string) {
	_, jobs, err := r.o.Store.Campaign(ctx, campaign)
	if err == nil {
		for _, j := range jobs {
			if !j.State.Over() {
				return
			}
		}
		err = r.o.Store.SetCampaign(ctx, campaign, Running, Ended, "system", "every device is done or failed")
	}
	if err != nil && !errors.Is(err, ErrEnded) && ctx.Err() == nil {
		r.o.Log.LogAttrs(ctx, slog.LevelError, "ending a campaign", slog.Any("error", err))
	}
}

// later postpones a job: the device is silent or still at work.
func (r *Runner) later(j Job, reason string) (Job, JobEvent) {
	j.Tries++
	j.Reason = reason
	if j.Tries > r.o.MaxTries {
		j.Reason = fmt.Sprintf("gave up after %d tries: %s", r.o.MaxTries, reason)
		return j, Exhausted
	}
	wait := maxPoll
	if shift := j.Tries - 1; shift < 12 { //nolint:mnd // 2 s doubled 12 times is above any bound
		wait = min(wait, r.o.Poll<<shift)
	}
	j.Due = time.Now().Add(wait)
	return j, ""
}
