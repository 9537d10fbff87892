package queue

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/lwm2m/machine"
	"steward/lwm2m/server"
)

// serve performs what waits for a device in order, one at a time (NSTART 1), as long
// as it answers.
func (q *Queue) serve(ctx context.Context, device fleet.ID) {
	defer q.rest(device)
	for ctx.Err() == nil {
		next, err := q.o.Store.Operations(ctx, Filter{Device: device, Open: true, Limit: MaxWaiting})
		if err != nil {
			q.failed(ctx, "reading what waits", err)
			return
		}
		o, ok := first(next)
		if !ok {
			return
		}
		if now := time.Now(); !now.Before(o.ExpiresAt) {
			_, err := q.move(ctx, o, Expire, Result{Outcome: string(Expired), Reason: expired})
			q.failed(ctx, "operation not ended", err)
			if err != nil {
				return
			}
			continue
		}
		if p := q.o.Devices.Presence(device); p.Asleep || !p.Registered {
			return
		}
		if !q.send(ctx, o) {
			return
		}
	}
}

const expired = "the device did not listen in time"

// first returns the first operation that waits.
func first(open []Operation) (Operation, bool) {
	for _, o := range open {
		if o.State == Queued {
			return o, true
		}
	}
	return Operation{}, false
}

// send performs an operation that waited, and reports whether the next may follow.
func (q *Queue) send(ctx context.Context, o Operation) bool {
	o, err := q.move(ctx, o, Send, Result{})
	if errors.Is(err, ErrConflict) { // cancelled meanwhile
		return true
	}
	if err != nil {
		q.failed(ctx, "operation not begun", err)
		return false
	}
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err = q.perform(limited, o)
	return !silent(err)
}

// silent reports whether err is that of a device that did not answer.
func silent(err error) bool {
	for _, s := range []error{
		server.ErrUnreachable, server.ErrNotRegistered, server.ErrEnded, coap.ErrTimeout, coap.ErrClosed, coap.ErrBusy,
		context.DeadlineExceeded, context.Canceled,
	} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}

// A course is an operation under way, with what its exchanges tell.
type course struct {
	q *Queue

	mu sync.Mutex // guards o
	o  Operation
}

// perform performs an operation that is Sent and stores how it ended. It returns the
// error of the call.
func (q *Queue) perform(ctx context.Context, o Operation) (Operation, error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	q.mu.Lock()
	q.running[o.ID] = stop
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		delete(q.running, o.ID)
		q.mu.Unlock()
	}()
	c := &course{q: q, o: o}
	acked, done := make(chan struct{}, 1), make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { c.watch(context.WithoutCancel(ctx), acked, done) })
	res, err := q.o.Perform(server.WithTap(running, &server.Tap{
		Acknowledged: func() {
			select {
			case acked <- struct{}{}:
			default:
			}
		},
		Exchanged: c.exchanged,
	}), o)
	close(done)
	watcher.Wait()
	o, failed := q.conclude(context.WithoutCancel(ctx), c.o, res, err)
	if err == nil {
		err = failed
	}
	return o, err
}

// exchanged keeps an exchange.
func (c *course) exchanged(e server.Exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.o.Exchanges) < maxExchanges {
		c.o.Exchanges = append(c.o.Exchanges, keep(e, secret(c.o.Path)))
	}
}

// watch notes the first acknowledgement.
func (c *course) watch(ctx context.Context, acked, done <-chan struct{}) {
	select {
	case <-acked:
	case <-done:
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o, err := c.q.move(ctx, c.o, Acknowledge, Result{})
	if err == nil {
		c.o = o
	} else if !errors.Is(err, ErrConflict) { // cancelled meanwhile
		c.q.failed(ctx, "acknowledgement not kept", err)
	}
}

// conclude stores how an operation ended.
func (q *Queue) conclude(ctx context.Context, o Operation, res Result, err error) (Operation, error) {
	on := Refuse
	switch {
	case err == nil:
		on = Answer
	case silent(err):
		on = Lose
		if o.Held && o.Repeats && o.Tries < maxTries && time.Now().Before(o.ExpiresAt) {
			on = Silence
		}
	}
	o, failed := q.move(ctx, o, on, res)
	if errors.Is(failed, ErrConflict) { // cancelled meanwhile, which is told already
		failed = nil
	}
	return o, failed
}

// move steps an operation and stores it.
func (q *Queue) move(ctx context.Context, o Operation, on Event, res Result) (Operation, error) {
	after, err := o.step(on, time.Now())
	if err != nil {
		return o, err
	}
	after.Reason = cut(res.Reason)
	var row *audit.Row
	if after.State.Over() {
		after.Body, after.Result = nil, res.Body
		if len(res.Body) > MaxBody {
			after.Result, after.Reason = nil, "the answer is too long to be kept"
		}
		row = q.row(o, after, res.Outcome)
	}
	if err := q.o.Store.Set(ctx, after.light(), row); err != nil {
		return o, err
	}
	if after.State.Over() {
		q.ended(after)
	} else {
		q.o.Changed(after)
	}
	return after, nil
}

// row returns the audit row of an operation that is over: nil for one that changed
// nothing and kept nobody waiting.
func (q *Queue) row(before, after Operation, outcome string) *audit.Row {
	row := &audit.Row{
		Actor: after.Actor, Action: after.Action, Subject: string(after.Device), Reason: after.Path, After: outcome,
		At: after.EndedAt,
	}
	switch {
	case after.State == Expired:
		row.Actor, row.Action = "system", "operation.expire"
		row.Reason, row.Before = after.Kind+" "+after.Path, string(before.State)
	case after.Action == "" && !after.Held:
		return nil
	case after.Action == "":
		row.Action, row.Reason = "operation.end", after.Kind+" "+after.Path
	}
	return row
}

// look ends what has expired, serves who listens without having told us, such as by
// the answer to somebody else, and forgets what is long over.
func (q *Queue) look(ctx context.Context, now time.Time) {
	q.mu.Lock()
	waiting := make([]fleet.ID, 0, len(q.lines))
	for device := range q.lines {
		waiting = append(waiting, device)
	}
	prune := q.over && now.Sub(q.pruned) >= pruneEvery
	if prune {
		q.pruned, q.over = now, false
	}
	q.mu.Unlock()
	for _, device := range waiting {
		if p := q.o.Devices.Presence(device); p.Registered && !p.Asleep {
			q.Wake(device)
		}
	}
	if len(waiting) > 0 {
		q.expire(ctx, now)
	}
	if prune {
		q.failed(ctx, "pruning", q.o.Store.Prune(ctx, now.Add(-q.o.Keep)))
	}
}

// expire ends what has waited for too long.
func (q *Queue) expire(ctx context.Context, now time.Time) {
	for ctx.Err() == nil {
		late, err := q.o.Store.Operations(ctx, Filter{Open: true, Expired: now, Limit: batch})
		if err != nil {
			q.failed(ctx, "reading what expires", err)
			return
		}
		for _, o := range late {
			_, err := q.move(ctx, o, Expire, Result{Outcome: string(Expired), Reason: expired})
			if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, machine.ErrNoRow) {
				q.o.Log.LogAttrs(ctx, slog.LevelError, "operations", slog.Any("error", err))
				return
			}
		}
		if len(late) < batch {
			return
		}
	}
}

// cut bounds a text.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxReason)], "") }
