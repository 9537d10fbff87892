package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"steward/lwm2m/coap"
)

const (
	// patience is how often a device sends a message before it gives up its
	// association: once more than once, as the target has it.
	patience = 2
	// talkers is how many devices talk while the server restarts at most.
	talkers = 1000
	// newcomers is how many devices register meanwhile at most, 100 at once, so that
	// some are always under way when the server ends.
	newcomers = 10_000
	// registersAtOnce is how many of them register at once.
	registersAtOnce = 100
	// replays and reads are how many devices are tried after the restart at most,
	// talking ones first.
	replays = 2 * talkers
	reads   = 2 * talkers
)

// A scene is the cast of a restart: devices of the same fleet by number.
type scene struct {
	talking    int // those below talk
	registered int // those below are registered before
}

func (r *run) scene() scene {
	const part = 4
	s := scene{registered: r.o.Devices - min(newcomers, r.o.Devices/part)}
	s.talking = min(talkers, s.registered)
	return s
}

// restart ends the server under devices that talk and others that register, in
// order or by SIGKILL, and starts it again over the same data. A device that gets
// no answer, or was told that its association ended, makes a new handshake: the
// fewer the better. Then it shows what the restart must not have broken.
func (r *run) restart(ctx context.Context) error {
	s := r.scene()
	r.result.Devices, r.result.Registering = r.o.Devices, r.o.Devices-s.registered
	r.gen.capture = newCapture()
	if err := r.establish(ctx, r.o.Devices); err != nil {
		return err
	}
	if err := r.enlist(ctx, s.registered); err != nil {
		return err
	}
	if err := r.interrupt(ctx, s); err != nil {
		return err
	}
	for _, show := range []func(context.Context, scene) error{r.replay, r.readBack, r.recount} {
		if err := show(ctx, s); err != nil {
			return err
		}
	}
	all, reused := r.gen.capture.twice()
	r.result.Captured, r.result.Reused = all, &reused
	return nil
}

// interrupt restarts the server at a random moment of the newcomers' registering.
func (r *run) interrupt(ctx context.Context, s scene) error {
	for i := range r.o.Devices {
		if i < s.talking || i >= s.registered {
			r.gen.devices[i].trace = &trace{}
		}
	}
	r.gen.patience = patience
	var unanswered, created atomic.Int64
	over := make(chan struct{})
	talked := make(chan outcome, 1)
	go func() {
		b := bounds{devices: s.talking, inFlight: s.talking, duration: r.o.Duration, over: over}
		talked <- load(ctx, b, r.insist(post, &unanswered, func(_ *device, c reply) bool { return c.code == coap.NotFound }))
	}()
	const quiet = 4 // part of the duration: all have talked
	pause(ctx, r.o.Duration/quiet)
	const least, most = 0.2, 0.7
	part := least + (most-least)*rand.Float64() //nolint:gosec // G404: no secret
	moment := int64(float64(r.o.Devices-s.registered) * part)
	now := make(chan struct{})
	registered := make(chan outcome, 1)
	go func() { registered <- r.arrive(ctx, s, &created, moment, now) }()
	select {
	case <-now:
	case <-ctx.Done():
	}
	begin := time.Now()
	err := r.again(ctx, func() {
		r.result.RegisteredBefore = int(created.Load())
		r.gen.remember()
	})
	r.result.RestartSeconds = time.Since(begin).Seconds()
	newcomers := <-registered
	pause(ctx, r.o.Duration/2) // so that all talk for a while
	close(over)
	o := <-talked
	if err = errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	o.refused += newcomers.refused
	o.lost += newcomers.lost
	r.result.take(o)
	n := int(unanswered.Load())
	r.result.Unanswered = &n
	return nil
}

// arrive registers the newcomers and closes now when as many as moment have their
// 2.01. Each keeps the location of its first one.
func (r *run) arrive(ctx context.Context, s scene, created *atomic.Int64, moment int64, now chan<- struct{}) outcome {
	if r.o.Devices == s.registered {
		close(now)
		return outcome{}
	}
	x := enlisting()
	var count atomic.Int64
	register := r.insist(x.build, nil, func(d *device, answer reply) bool {
		if !x.good(d, answer) {
			return false
		}
		created.Add(1)
		return true
	})
	const tries, busy = 20, 500 * time.Millisecond // a 5.03 means that one should come again
	b := bounds{devices: r.o.Devices - s.registered, inFlight: registersAtOnce}
	return load(ctx, b, func(ctx context.Context, w *worker, i int) (bool, error) {
		if count.Add(1) == moment+1 {
			close(now)
		}
		for try := 1; ; try++ {
			ok, err := register(ctx, w, s.registered+i)
			if ok || err != nil || try == tries || !pause(ctx, busy) {
				return ok, err
			}
		}
	})
}

// again ends the server, calls ended and starts it at the same address.
func (r *run) again(ctx context.Context, ended func()) error {
	old, ours := r.server.(*child)
	if !ours {
		return fmt.Errorf("%w: not a server of our own", ErrOptions)
	}
	if r.o.Kill {
		_ = old.cmd.Process.Kill() // it cannot have ended: we hold its stdin
	}
	if err := old.stop(); err != nil && !r.o.Kill {
		return err
	}
	ended()
	begin := time.Now()
	c, err := startServer(ctx, r.dir, r.gen.server.String())
	if err != nil {
		return err
	}
	r.server = c
	r.result.LoadSeconds = time.Since(begin).Seconds()
	return nil
}

// insist is an operation of devices that begin anew when they get no answer; those
// are counted. The device is locked when good is asked.
func (r *run) insist(build builder, unanswered *atomic.Int64, good func(*device, reply) bool) operation {
	do := func(w *worker, i int) (bool, error) {
		d := &r.gen.devices[i]
		answer, err := w.do(d, build)
		d.mu.Lock()
		defer d.mu.Unlock()
		return err == nil && !answer.reset && good(d, answer), err
	}
	return func(ctx context.Context, w *worker, i int) (bool, error) {
		ok, err := do(w, i)
		if err == nil {
			return ok, nil
		}
		if unanswered != nil {
			unanswered.Add(1)
		}
		if _, err := r.gen.handshake(ctx, w, i); err != nil {
			return false, err
		}
		return do(w, i)
	}
}
