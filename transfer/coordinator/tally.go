package coordinator

import (
	"context"
	"fmt"
	"time"

	"steward/transfer"
)

// A tally is how many rows of a transfer are how far.
type tally struct {
	rows    int // accepted
	waiting int // not READY yet
	ready   int
	away    int // committed, not ended
	silent  int // of those, unheard of since their grace has passed
	left    int // committed, ended or not
	ended   int
	revoked int // ended at the new provider
	failed  int
	lost    int // failed after their commit
}

func (c *Coordinator) tally(ctx context.Context, id string) (n tally, err error) {
	counts, err := c.o.Store.Count(ctx, id)
	if err != nil {
		return n, err
	}
	notUpdated := 0
	if counts[transfer.RowFailedUpd] > 0 {
		if notUpdated, err = c.notUpdated(ctx, id, counts); err != nil {
			return n, err
		}
	}
	for state, k := range counts {
		switch state {
		case transfer.RowRejected:
			continue
		case transfer.RowFailedUpd:
			n.rows, n.ended = n.rows+notUpdated, n.ended+notUpdated // they stay, and hold nobody up
			k -= notUpdated
		default:
		}
		n.add(Row{State: state, CommittedAt: time.Unix(1, 0)}, k)
	}
	return n, nil
}

// notUpdated returns how many devices stay because their last update failed.
func (c *Coordinator) notUpdated(ctx context.Context, id string, counts map[transfer.RowState]int) (int, error) {
	n, err := c.o.Store.Ended(ctx, id)
	for _, state := range transfer.RowFinalStates() {
		n -= counts[state]
	}
	return n, err
}

// add counts k rows of the state of r.
func (n *tally) add(r Row, k int) {
	n.rows += k
	if r.Committed() {
		n.left += k
	}
	switch {
	case r.State == transfer.RowRevokedOld:
		n.revoked += k
		n.ended += k
	case r.Ended():
		n.ended += k
	case r.State == transfer.RowReady:
		n.ready += k
	case r.Committed():
		n.away += k
		if r.State == transfer.RowOrphanRisk {
			n.silent += k
		}
	default:
		n.waiting += k
	}
	if r.Failed() {
		n.failed += k
		if r.Committed() {
			n.lost += k
		}
	}
}

// advanceBatch moves a transfer by what its rows and the clock say.
func (c *Coordinator) advanceBatch(ctx context.Context, t *Transfer, now time.Time) error {
	if t.Over() {
		t.Due = time.Time{}
		return nil
	}
	n, err := c.tally(ctx, t.ID)
	if err != nil {
		return err
	}
	latest := t.end()
	t.Due = latest
	if t.State == transfer.BatchOffered && t.OfferUntil.Before(latest) {
		t.Due = t.OfferUntil
	}
	past := !now.Before(latest)
	if past {
		t.Due = now.Add(c.o.MaxPoll)
	}
	switch t.State {
	case transfer.BatchOffered:
		if !past && t.expired(now) {
			return c.offerOver(ctx, t, now)
		}
	case transfer.BatchApproved:
		if !t.Incoming && !past {
			return c.begin(t, now)
		}
	case transfer.BatchStaging:
		return c.arm(ctx, t, n, now, past)
	case transfer.BatchArmed:
		return t.open(n, now)
	case transfer.BatchSwitching, transfer.BatchPartial:
		return c.closing(t, n, now, past)
	default:
	}
	if past {
		t.Reason = "the window has passed"
		return t.apply(transfer.BatchWindow, now)
	}
	return nil
}

// begin has the devices get their anchors and messages.
func (c *Coordinator) begin(t *Transfer, now time.Time) error {
	if t.ArmBy = c.armBy(t, now); t.Last.Release != "" {
		t.Last.Campaign = c.o.NewID()
	}
	return t.apply(transfer.BatchStage, now)
}

// open begins with the commits, at the outgoing provider when the window does.
func (t *Transfer) open(n tally, now time.Time) error {
	if earliest := t.Window.Earliest.Time(); !t.Incoming && now.Before(earliest) && n.ready > 0 {
		t.Due = earliest
		return nil
	}
	return t.apply(transfer.BatchSwitch, now)
}

// end is when the window has passed: at the incoming provider later, for the partner may
// have committed in time and told late.
func (t Transfer) end() time.Time {
	latest := t.Window.Latest.Time()
	if t.Incoming {
		latest = latest.Add(t.Grace)
	}
	return latest
}

// arm goes on to the commits when every device is READY or out, or when the
// others have waited long enough for those that are not.
func (c *Coordinator) arm(ctx context.Context, t *Transfer, n tally, now time.Time, past bool) error {
	switch {
	case past:
		t.Reason = "the window has passed"
		return t.apply(transfer.BatchWindow, now)
	case t.Rehearse:
		return c.rehearsed(ctx, t, n, now)
	case t.Incoming && n.left == 0: // the outgoing provider decides
		return nil
	case t.Incoming, n.waiting == 0, n.ready > 0 && !now.Before(t.ArmBy):
		return t.apply(transfer.BatchArm, now)
	case now.Before(t.ArmBy) && t.ArmBy.Before(t.Due):
		t.Due = t.ArmBy
	}
	return nil
}

// failurePercent is the share of devices that may fail before commits pause
// (transfer protocol §7).
const failurePercent = 5

// closing pauses a transfer that fails too often, ends rows whose window is over,
// and ends the transfer with its last row.
func (c *Coordinator) closing(t *Transfer, n tally, now time.Time, past bool) error {
	open := n.waiting + n.ready
	t.heal(n)
	switch {
	case n.rows > 0 && n.revoked == n.rows:
		t.Reason = ""
		return t.apply(transfer.BatchFinish, now)
	case t.State == transfer.BatchPartial:
		if n.ended == n.rows {
			t.Due = time.Time{}
		}
		return nil
	case past && open > 0:
		t.Reason = "the window has passed"
		return t.apply(transfer.BatchWindow, now)
	case n.ended == n.rows, open == 0 && now.After(t.Window.Latest.Time().Add(2*t.Grace)):
		return t.apply(transfer.BatchLeave, now)
	case !t.Incoming && !t.Paused && open > 0 && !t.tolerable(n):
		t.Paused, t.Reason = true, fmt.Sprintf("%d of %d devices failed", n.failed, n.rows)
		return t.apply(transfer.BatchPause, now)
	case !t.Incoming && !t.Paused && open > 0 && t.widen(n):
		return nil
	case past:
		t.Due = t.Window.Latest.Time().Add(2 * t.Grace)
	}
	return nil
}
