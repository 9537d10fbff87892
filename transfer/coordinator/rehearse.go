package coordinator

import (
	"context"
	"fmt"
	"time"

	"steward/transfer"
)

// A Rehearsal is a transfer, at the outgoing provider, whose devices get all but the
// order to move: offer, anchors, message, READY and the partner's comparison are the
// real ones, then everything is aborted (transfer protocol §7, Abort). The partner
// learns so by the reason of the withdrawal.
type Rehearsal struct {
	Rehearse  bool // no device is ever told to commit
	Rehearsed bool // it is over: every device was READY, or has had its time
	WereReady int  // devices whose READY receipt the partner had compared by then
}

// rehearsed ends a rehearsal in STAGING when each device is READY and the partner has
// compared its receipt, or when the others have had their time.
func (c *Coordinator) rehearsed(ctx context.Context, t *Transfer, n tally, now time.Time) error {
	early := now.Before(t.ArmBy)
	if early && n.waiting > 0 {
		t.Due = now.Add(c.o.Poll)
		return nil
	}
	ready, all := 0, 0
	err := c.eachRow(ctx, t.ID, func(r Row) error {
		all++
		if r.wasReady() {
			ready++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if early && ready < n.ready { // the partner still compares
		t.Due = now.Add(c.o.Poll)
		return nil
	}
	t.Rehearsed, t.WereReady = true, ready
	t.Reason = fmt.Sprintf("rehearsal: %d of %d devices were READY, and none was told to move", ready, all)
	return t.apply(transfer.BatchCancel, now)
}

// wasReady reports whether the partner has compared the READY receipt of the device.
func (r Row) wasReady() bool { return r.State == transfer.RowReady && len(r.Pending) == 0 }

// endReason says in words why a row ends with its transfer.
func (t Transfer) endReason(r Row) string {
	switch {
	case !t.Rehearsed:
		return t.Reason
	case r.wasReady():
		return "rehearsal: it was READY"
	case r.Reason != "":
		return "rehearsal: it was not READY: " + r.Reason
	default:
		return "rehearsal: it was not READY in time"
	}
}
