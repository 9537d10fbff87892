package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// An operation does one thing with the i-th device and reports whether the server
// did what was expected.
type operation func(ctx context.Context, w *worker, i int) (ok bool, err error)

// bounds say when a load ends: after a time, or after each of its devices had one
// operation.
type bounds struct {
	devices  int
	inFlight int
	duration time.Duration   // 0: once each
	over     <-chan struct{} // closed: the load ends now; nil: never
}

// ended reports whether a load that repeats itself is to end.
func (b *bounds) ended(begun time.Time) bool {
	select {
	case <-b.over:
		return true
	default:
		return b.over == nil && time.Since(begun) > b.duration
	}
}

// load runs operations, at most inFlight at once and one of a device at a time.
func load(ctx context.Context, b bounds, do operation) outcome {
	workers := min(b.inFlight, b.devices)
	begin := time.Now()
	parts := make([]outcome, workers)
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() { parts[k] = work(ctx, k, workers, b, do) })
	}
	wg.Wait()
	var all outcome
	for _, p := range parts {
		all.add(p)
	}
	all.took = time.Since(begin)
	return all
}

// work is one of a load's workers: every step-th device is its own.
func work(ctx context.Context, first, step int, b bounds, do operation) (o outcome) {
	w := newWorker()
	begun := time.Now()
	for i := first; ctx.Err() == nil; i += step {
		if i >= b.devices {
			if b.duration == 0 {
				break
			}
			i = first
		}
		begin := time.Now()
		if b.duration > 0 && b.ended(begun) {
			break
		}
		ok, err := do(ctx, w, i)
		switch {
		case err != nil:
			o.lost++
		case !ok:
			o.refused++
			o.done++
		default:
			o.done++
		}
		if err == nil {
			o.latencies = append(o.latencies, time.Since(begin))
		}
	}
	o.repeats = w.repeats
	return o
}

// enlist registers the first devices.
func (r *run) enlist(ctx context.Context, devices int) error {
	begin := time.Now()
	x := enlisting()
	good := x.good
	var count atomic.Int64
	x.good = func(d *device, answer reply) bool {
		r.progress(count.Add(1), "registered", begin)
		return good(d, answer)
	}
	o := r.gen.talk(ctx, bounds{devices: devices, inFlight: r.o.InFlight}, x)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if o.refused+o.lost > 0 || o.done != devices {
		return fmt.Errorf("%w: of %d Registers %d were refused, %d not answered", ErrServer, devices, o.refused, o.lost)
	}
	r.say("%d registered in %.1f s", devices, time.Since(begin).Seconds())
	return nil
}

// progress says now and then how far it is.
func (r *run) progress(n int64, what string, begin time.Time) {
	const often = 10_000
	if n%often == 0 {
		r.say("  %d %s, %.0f s", n, what, time.Since(begin).Seconds())
	}
}

// establish connects all devices, which is no part of what is measured. The first
// failure ends it.
func (r *run) establish(ctx context.Context, devices int) error {
	begin := time.Now()
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	var failed atomic.Pointer[error]
	var count atomic.Int64
	b := bounds{devices: devices, inFlight: len(r.gen.sockets)}
	load(limited, b, func(ctx context.Context, w *worker, i int) (bool, error) {
		ok, err := r.gen.handshake(ctx, w, i)
		if err != nil {
			failed.CompareAndSwap(nil, &err)
			cancel()
		}
		r.progress(count.Add(1), "connected", begin)
		return ok, err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := failed.Load(); err != nil {
		return fmt.Errorf("%w: not connected: %w", ErrServer, *err)
	}
	r.say("%d connected in %.1f s", devices, time.Since(begin).Seconds())
	return nil
}

// rest waits until the server has done what it put off, so that the account
// has it.
func (r *run) rest(ctx context.Context) error {
	const step, most = 100 * time.Millisecond, 100
	before, err := r.server.usage(false)
	for range most {
		if err != nil || !pause(ctx, step) {
			return err
		}
		var now usage
		now, err = r.server.usage(false)
		if now.CPU-before.CPU < step/20 {
			return err
		}
		before = now
	}
	return err
}

// pause waits and reports whether ctx is still good.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// account runs a load and returns what the server used for it. The profile, if
// one is wanted, is of this part.
func (r *run) account(ctx context.Context, do func() outcome) (outcome, usage, error) {
	var none bool
	c, ours := r.server.(*child)
	if ours && r.o.Profile != "" {
		if err := c.ask(&none, commandStart, r.o.Profile); err != nil {
			return outcome{}, usage{}, err
		}
	}
	before, err := r.server.usage(false)
	if err != nil {
		return outcome{}, usage{}, err
	}
	o := do()
	if err := r.rest(ctx); err != nil {
		return o, usage{}, err
	}
	after, err := r.server.usage(false)
	if err != nil {
		return o, usage{}, err
	}
	if ours && r.o.Profile != "" {
		if err := c.ask(&none, commandStop); err != nil {
			return o, usage{}, err
		}
	}
	after.CPU -= before.CPU
	after.Handshakes -= before.Handshakes
	return o, after, ctx.Err()
}
