package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"steward/lwm2m/coap"
)

const (
	// patience is how often a device sends a message before it gives up its
	// association: once more than once, as the target has it.
	patience = 2
	// moment is the part of the load's duration after which the server ends.
	moment = 4
)

// restart ends the server under devices that talk, in order or by SIGKILL, and
// starts it again over the same data. Then each device updates its registration.
// A device that gets no answer, or was told that its association ended, makes a
// new handshake: the fewer the better.
func (r *run) restart(ctx context.Context) error {
	r.result.Devices = r.o.Devices
	if err := r.establish(ctx, r.o.Devices); err != nil {
		return err
	}
	if err := r.enlist(ctx, r.o.Devices); err != nil {
		return err
	}
	r.gen.patience = patience
	talking := r.timed()
	talking.devices = min(talking.devices, talkers)
	talking.inFlight = talking.devices
	talked := make(chan outcome, 1)
	go func() {
		talked <- load(ctx, talking, r.insist(post, func(c coap.Code) bool { return c == coap.NotFound }))
	}()
	pause(ctx, r.o.Duration/moment)
	begin := time.Now()
	err := r.again(ctx)
	r.result.RestartSeconds = time.Since(begin).Seconds()
	o := <-talked
	if err = errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	r.result.take(o)
	return r.recount(ctx)
}

// talkers is how many devices talk while the server restarts at most.
const talkers = 1000

// again ends the server and starts it at the same address.
func (r *run) again(ctx context.Context) error {
	old, ours := r.server.(*child)
	if !ours {
		return fmt.Errorf("%w: not a server of our own", ErrOptions)
	}
	if r.o.Kill {
		_ = old.cmd.Process.Kill() // it cannot have ended: we hold its stdin
	}
	old.stop()
	begin := time.Now()
	c, err := startServer(ctx, r.dir, r.gen.server.String())
	if err != nil {
		return err
	}
	r.server = c
	r.result.LoadSeconds = time.Since(begin).Seconds()
	return nil
}

// recount lets each device update its registration and counts who lost what.
func (r *run) recount(ctx context.Context) error {
	var forgotten atomic.Int64
	do := r.insist(update, func(c coap.Code) bool {
		if c == coap.NotFound {
			forgotten.Add(1)
		}
		return c == coap.Changed
	})
	b := r.once()
	b.inFlight = min(talkers, b.devices) // those without an association wait for seconds
	o := load(ctx, b, do)
	used, err := r.server.usage(true)
	if err != nil {
		return err
	}
	r.handshakesSeen(used)
	lost := int(forgotten.Load())
	r.result.LostRegistrations, r.result.RSSFull = &lost, used.RSS
	r.say("updates after the restart: %d, p99 %.0f ms, %d refused, %d unanswered", o.done, o.percentile(0.99), o.refused,
		o.lost)
	if used.Handshakes >= uint64(r.o.Devices) { //nolint:gosec // G115: positive
		r.result.Note = ErrNotImplemented.Error() + ": the server kept no association over the restart"
	}
	return nil
}

// insist is exchange by devices that begin anew when they get no answer.
func (r *run) insist(build builder, good func(coap.Code) bool) operation {
	do := func(_ context.Context, w *worker, i int) (bool, error) {
		answer, err := w.do(&r.gen.devices[i], build)
		return err == nil && good(answer.code), err
	}
	return func(ctx context.Context, w *worker, i int) (bool, error) {
		ok, err := do(ctx, w, i)
		if err == nil {
			return ok, nil
		}
		if _, err := r.gen.handshake(ctx, w, i); err != nil {
			return false, err
		}
		return do(ctx, w, i)
	}
}
