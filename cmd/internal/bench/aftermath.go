package bench

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"steward/lwm2m/coap"
)

// remember marks what was answered until now.
func (g *generator) remember() {
	for i := range g.devices {
		d := &g.devices[i]
		d.mu.Lock()
		if d.trace != nil {
			d.trace.before = bytes.Clone(d.trace.proved)
		}
		d.mu.Unlock()
	}
}

// replay sends records again that were answered before the server ended. It must
// take none: they were executed.
func (r *run) replay(ctx context.Context, _ scene) error {
	if err := r.rest(ctx); err != nil {
		return err
	}
	before, err := r.server.usage(false)
	if err != nil {
		return err
	}
	for i := range r.o.Devices {
		d := &r.gen.devices[i]
		if r.result.Replayed == replays || d.trace == nil || len(d.trace.before) == 0 {
			continue
		}
		record := d.trace.before
		if err := d.socket.box.send(record); err != nil {
			return err
		}
		r.result.Replayed++
	}
	if err := r.rest(ctx); err != nil {
		return err
	}
	after, err := r.server.usage(false)
	refused := int(after.Replays - before.Replays) //nolint:gosec // G115: a count
	r.result.ReplaysRefused = &refused
	return err
}

// readBack lets the server read from each talking device, and from quiet ones,
// which have said nothing since the restart.
func (r *run) readBack(_ context.Context, s scene) error {
	c, ours := r.server.(*child)
	if !ours {
		return nil
	}
	var got readings
	if err := c.ask(&got, commandRead, "0", strconv.Itoa(min(reads, s.registered))); err != nil {
		return err
	}
	r.result.Reads, r.result.ReadsFailed = got.Done+got.Failed, &got.Failed
	if got.First != "" {
		r.say("a read that failed: %s", got.First)
	}
	return nil
}

// recount lets each device update its registration and counts who lost what.
func (r *run) recount(ctx context.Context, _ scene) error {
	var forgotten atomic.Int64
	do := r.insist(update, nil, func(_ *device, answer reply) bool {
		if answer.code == coap.NotFound {
			forgotten.Add(1)
		}
		return answer.code == coap.Changed
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
		r.result.Note = fmt.Sprintf("%v: the server kept no association over the restart", ErrNotImplemented)
	}
	return nil
}
