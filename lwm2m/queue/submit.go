package queue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"steward/lwm2m/audit"
)

// Do performs an operation now if its device listens and nothing waits for it; it
// then returns the error of the Performer's call, with the operation. Otherwise it
// is Submit. The operation ends with ctx, if it is performed.
func (q *Queue) Do(ctx context.Context, o Operation) (Operation, error) {
	if !o.Local && (q.o.Devices.Presence(o.Device).Asleep || !q.empty(o.Device)) {
		return q.Submit(ctx, o)
	}
	now := time.Now()
	o = q.begun(o, now)
	o, err := o.step(Send, now)
	if err != nil {
		return o, err
	}
	if _, err := q.o.Store.Add(ctx, o.light(), nil); err != nil {
		return o, err
	}
	q.o.Changed(o)
	return q.perform(ctx, o)
}

// Submit has an operation performed when its turn comes and its device listens. It
// returns ErrFull or ErrSize.
func (q *Queue) Submit(ctx context.Context, o Operation) (Operation, error) {
	if len(o.Body) > MaxBody {
		return o, fmt.Errorf("%w: %d bytes, at most %d", ErrSize, len(o.Body), MaxBody)
	}
	if !q.reserve() {
		return o, ErrFull
	}
	o = q.begun(o, time.Now())
	o.Held = true
	replaced, err := q.o.Store.Add(ctx, o, &audit.Row{
		Actor: o.Actor, Action: "operation.queue", Subject: string(o.Device), Reason: o.Kind + " " + o.Path,
		After: string(Queued), At: o.CreatedAt,
	})
	q.unreserve()
	if err != nil {
		return o, err
	}
	q.count(o.Device, 1-len(replaced))
	for _, id := range replaced {
		q.tell(id)
	}
	q.o.Changed(o)
	q.Wake(o.Device)
	return o, nil
}

// reserve takes one of MaxTotal places until unreserve; count takes it for longer.
func (q *Queue) reserve() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.total >= MaxTotal {
		return false
	}
	q.total++
	return true
}

func (q *Queue) unreserve() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total--
}

// begun fills in what a new operation has.
func (q *Queue) begun(o Operation, now time.Time) Operation {
	wait := min(max(q.o.Expire, 2*q.o.Devices.Presence(o.Device).Lifetime), maxExpire)
	if o.TTL > 0 {
		wait = min(o.TTL, maxExpire)
	}
	o.ID, o.State, o.CreatedAt = q.o.NewID(), Queued, now
	if o.ExpiresAt.IsZero() {
		o.ExpiresAt = now.Add(wait)
	}
	return o
}

// Await waits until an operation is over, or ctx ends, and returns it as it stands
// then. It returns ErrUnknown.
func (q *Queue) Await(ctx context.Context, id string) (Operation, error) {
	over := make(chan struct{})
	q.mu.Lock()
	q.waiters[id] = append(q.waiters[id], over)
	q.mu.Unlock()
	defer q.leave(id, over)
	o, err := q.o.Store.Operation(context.WithoutCancel(ctx), id)
	if err != nil || o.State.Over() {
		return o, err
	}
	select {
	case <-over:
	case <-ctx.Done():
	}
	return q.o.Store.Operation(context.WithoutCancel(ctx), id)
}

func (q *Queue) leave(id string, over chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := slices.DeleteFunc(q.waiters[id], func(c chan struct{}) bool { return c == over })
	if len(left) == 0 {
		delete(q.waiters, id)
		return
	}
	q.waiters[id] = left
}

// tell wakes those who wait for the end of an operation.
func (q *Queue) tell(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range q.waiters[id] {
		close(c)
	}
	delete(q.waiters, id)
	q.over = true
}

// Cancel takes an operation back. One that is under way ends, and whether the device
// did it is unknown. It returns ErrUnknown, machine.ErrNoRow for one that is over,
// or ErrConflict for one that moves just now.
func (q *Queue) Cancel(ctx context.Context, id, actor string) (Operation, error) {
	o, err := q.o.Store.Operation(ctx, id)
	if err != nil {
		return o, err
	}
	before := o.State
	after, err := o.step(Cancel, time.Now())
	if err != nil {
		return o, err
	}
	after.Reason, after.Body = "taken back", nil
	if before != Queued {
		after.Reason = "taken back while under way: the device may have done it or not"
	}
	if err := q.o.Store.Set(ctx, after, &audit.Row{
		Actor: actor, Action: "operation.cancel", Subject: string(o.Device), Reason: o.Kind + " " + o.Path,
		Before: string(before), After: string(after.State), At: after.EndedAt,
	}); err != nil {
		return o, err
	}
	q.mu.Lock()
	stop := q.running[id]
	q.mu.Unlock()
	if stop != nil {
		stop()
	}
	q.ended(after)
	return after, nil
}

// ended tells of an operation that is over.
func (q *Queue) ended(o Operation) {
	if o.Held {
		q.count(o.Device, -1)
	}
	q.tell(o.ID)
	q.o.Changed(o)
}
