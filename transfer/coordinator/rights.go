package coordinator

import (
	"context"

	"steward/lwm2m/fleet"
)

// rightLocks keep apart the opening of a right, which a worker does for a row that it
// has read before, and its closing, which a partner is told at once: what we have
// signed to be closed must not be opened by who began earlier.
type rightLocks [64]chan struct{}

func newRightLocks() (l rightLocks) {
	for i := range l {
		l[i] = make(chan struct{}, 1)
	}
	return l
}

// take locks the right of a device, which may share its lock with others.
func (l *rightLocks) take(ctx context.Context, f fleet.Factory) (release func(), err error) {
	lock := l[int(f[0])%len(l)]
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// openRight opens the right of a device whose row is still as it was read.
func (c *Coordinator) openRight(ctx context.Context, s *step) error {
	release, err := c.rights.take(ctx, s.row.Factory)
	if err != nil {
		return err
	}
	defer release()
	now, err := c.o.Store.Row(ctx, s.row.Transfer, s.row.Short)
	if err != nil {
		return err
	}
	if now.Version != s.row.Version {
		return ErrConflict
	}
	return c.open(ctx, s)
}

// hold locks what a call is about until it is stored: the right of the device, if it is to
// be closed, and what is counted of the partner, if it submits a transfer.
func (c *Coordinator) hold(ctx context.Context, from Partner, call Call) (release func(), err error) {
	switch call.Action {
	case ActionInfo:
		return c.submits.take(ctx, from.ID)
	case ActionClose:
		if r, err := c.o.Store.Row(ctx, call.Transfer, call.Device); err == nil {
			return c.rights.take(ctx, r.Factory)
		}
	default: // what it changes has a version
	}
	return func() {}, nil
}
