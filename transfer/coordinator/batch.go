package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/lwm2m/audit"
	"steward/transfer"
)

// apply moves t by an event of its table and keeps of the effects those that are
// this provider's part.
func (t *Transfer) apply(on transfer.BatchEvent, now time.Time) error {
	to, err := batchTable.Step(t.State, on)
	if err != nil {
		return fmt.Errorf("transfer %s: %w: %w", t.ID, ErrState, err)
	}
	if to.To != t.State {
		t.Pending = slices.DeleteFunc(slices.Clone(t.Pending), func(do transfer.BatchEffect) bool {
			return !outlasts(do, to.To)
		})
	}
	t.State, t.Tries, t.Due = to.To, 0, now
	for _, do := range to.Do {
		if t.performs(do) && !slices.Contains(t.Pending, do) {
			t.Pending = append(slices.Clone(t.Pending), do)
		}
	}
	return nil
}

// outlasts reports whether an effect is still to be performed in another state: what was
// asked or agreed about the window, as long as it may move.
func outlasts(do transfer.BatchEffect, state transfer.BatchState) bool {
	_, err := batchTable.Step(state, transfer.BatchExtend)
	return err == nil && (do == transfer.BatchPostAsk || do == transfer.BatchPostExtend)
}

// performs reports whether an effect is ours to perform later. What the incoming
// provider judges, it has judged before it stored the info.
func (t *Transfer) performs(do transfer.BatchEffect) bool {
	switch do {
	case transfer.BatchPostInfo, transfer.BatchPostAsk:
		return !t.Incoming
	case transfer.BatchAuthorize, transfer.BatchPostOffer, transfer.BatchPostExtend:
		return t.Incoming
	case transfer.BatchTell: // the other messages say for themselves how far a transfer is
		return t.State == transfer.BatchCancelled || t.State == transfer.BatchExpired ||
			t.State == transfer.BatchApproved && !t.Incoming
	case transfer.BatchAbortRows, transfer.BatchExpireRows:
		return true
	case transfer.BatchBringUpdate, transfer.BatchEndUpdate:
		return !t.Incoming && t.Last.Campaign != ""
	default: // judge, void offer, stage, commit, hold, report: follow from the state
		return false
	}
}

// stepTransfer does the next thing for a transfer as a whole. It returns true if
// there is more.
func (c *Coordinator) stepTransfer(ctx context.Context, t Transfer) bool {
	c.wakeRows(ctx, t)
	before, now := t, time.Now()
	ch := Change{Transfer: &t}
	more, revised, err := c.perform(ctx, &t, &ch, now)
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		t, ch = before, Change{Transfer: &t}
		t.Tries++
		t.Reason, t.Due = err.Error(), now.Add(c.backoff(t.Tries))
		more = false
	}
	if !more && err == nil && t.Due.Equal(before.Due) && t.Paused == before.Paused &&
		t.Wave == before.Wave && t.Tolerated == before.Tolerated && t.ToleratedLost == before.ToleratedLost {
		return false
	}
	ch.Audit = append(ch.Audit, auditedTransfer(before, t, "system")...)
	stored := c.commit(ctx, ch)
	if revised && err == nil && stored == nil {
		c.forget(t.ID)
	}
	return c.proceed(ctx, stored, keyTransfer+t.ID, more)
}

// perform does the first thing that is to be done: what is pending, a revision by itself,
// or what rows and clock say. more says that there may be another, revised that it was
// the second.
func (c *Coordinator) perform(ctx context.Context, t *Transfer, ch *Change, now time.Time) (
	more, revised bool, err error,
) {
	if len(t.Pending) > 0 && !t.late(now) {
		more, err = c.performBatch(ctx, t, ch)
		return more, false, err
	}
	if revised, err = c.tellAnew(ctx, t, ch, now); err != nil || revised {
		return revised, revised, err
	}
	state, wave := t.State, t.Wave
	err = errors.Join(c.advanceBatch(ctx, t, now), c.awaitAnew(ctx, t, now))
	return t.State != state || len(t.Pending) > 0 || t.Wave != wave, false, err
}

// late reports whether the window passed while the partner could not be told of what
// comes before the devices: nothing of it is of use any more.
func (t Transfer) late(now time.Time) bool {
	switch t.State {
	case transfer.BatchInfoSent, transfer.BatchOffered, transfer.BatchApproved, transfer.BatchStaging:
		return !now.Before(t.end())
	default:
		return false
	}
}

// auditedTransfer returns the audit row for what a transfer became, or none.
func auditedTransfer(before, after Transfer, actor string) []audit.Row {
	if before.State == after.State && before.Paused == after.Paused && before.Wave == after.Wave {
		return nil
	}
	word := func(t Transfer) string {
		if t.Paused {
			return string(t.State) + " paused"
		}
		if t.Wave > 0 && t.State == transfer.BatchSwitching {
			return fmt.Sprintf("%s, wave %d of %d", t.State, t.Wave+1, len(waves))
		}
		return string(t.State)
	}
	return []audit.Row{{
		Actor: actor, Action: "transfer.state", Subject: after.ID, Reason: after.Reason,
		Before: word(before), After: word(after),
	}}
}

// eachRow calls fn with every row of a transfer.
func (c *Coordinator) eachRow(ctx context.Context, id string, fn func(Row) error) error {
	after := ""
	for {
		page, err := c.o.Store.ListRows(ctx, id, after, dueBatch)
		if err != nil {
			return err
		}
		for _, r := range page {
			after = r.Short
			if err := fn(r); err != nil {
				return err
			}
		}
		if len(page) < dueBatch {
			return nil
		}
	}
}

// performBatch performs the first pending effect of a transfer. It returns true
// when that is done.
func (c *Coordinator) performBatch(ctx context.Context, t *Transfer, ch *Change) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	do := t.Pending[0]
	var err error
	switch do {
	case transfer.BatchPostInfo:
		err = c.postInfo(ctx, t, ch)
	case transfer.BatchAuthorize:
		n, e := c.o.Store.Count(ctx, t.ID)
		if err = e; err == nil && n[transfer.RowListed] > 0 {
			t.Due = time.Now().Add(c.o.Poll) // each row that gets its right wakes the transfer
			return false, nil
		}
	case transfer.BatchPostOffer:
		err = c.postOffer(ctx, t)
	case transfer.BatchPostAsk:
		err = c.postAsk(ctx, t)
	case transfer.BatchPostExtend:
		err = c.postAgreement(ctx, t)
	case transfer.BatchTell:
		if t.State == transfer.BatchApproved {
			err = c.tellApproved(ctx, t)
		} else {
			err = c.tellEnd(ctx, t)
		}
	case transfer.BatchBringUpdate:
		err = c.bringUpdate(ctx, t)
	case transfer.BatchEndUpdate:
		err = c.endUpdate(ctx, t)
	case transfer.BatchAbortRows:
		err = c.endRows(ctx, *t, transfer.RowAbort)
	case transfer.BatchExpireRows:
		err = c.endRows(ctx, *t, transfer.RowExpire)
	default:
		err = fmt.Errorf("effect %q: %w", do, transfer.ErrNotImplemented)
	}
	if err != nil {
		return false, err
	}
	if i := slices.Index(t.Pending, do); i >= 0 {
		t.Pending = slices.Delete(slices.Clone(t.Pending), i, i+1)
	}
	t.Tries, t.Due = 0, time.Now()
	return true, nil
}

// tellEnd tells the partner that a transfer is cancelled or expired.
func (c *Coordinator) tellEnd(ctx context.Context, t *Transfer) error {
	if t.Info.IsZero() {
		return nil // it was never posted
	}
	partner, err := c.o.Store.Partner(ctx, t.Partner)
	if err != nil {
		return err
	}
	reason := t.Reason
	if reason == "" {
		reason = string(t.State)
	}
	_, err = c.post(ctx, &step{t: *t, partner: partner}, ActionWithdraw,
		transfer.Withdrawal{Reason: cut(reason), Transfer: t.Key()})
	if errors.Is(err, ErrDeclined) { // it has ended there already, or never began
		return nil
	}
	return err
}

// endRows ends every row that has not committed.
func (c *Coordinator) endRows(ctx context.Context, t Transfer, on transfer.RowEvent) error {
	return c.eachRow(ctx, t.ID, func(r Row) error {
		err := c.changeRow(ctx, r.Transfer, r.Short, "system", func(r *Row) error {
			if !r.accepts(on) {
				return errNothing
			}
			r.Reason = t.endReason(*r)
			return r.apply(on, time.Now())
		})
		if errors.Is(err, errNothing) {
			return nil
		}
		return err
	})
}

// errNothing ends a change without storing anything.
var errNothing = errors.New("nothing to change")

// changeRow reads, changes and stores a row, again if somebody else was faster.
func (c *Coordinator) changeRow(ctx context.Context, id, short, actor string, change func(*Row) error) error {
	for {
		r, err := c.o.Store.Row(ctx, id, short)
		if err != nil {
			return err
		}
		before := r
		if err := change(&r); err != nil {
			return err
		}
		err = c.commit(ctx, Change{Rows: []Row{r}, Audit: audited(before, r, actor)})
		if !errors.Is(err, ErrConflict) {
			if err == nil {
				c.poked(rowKey(id, short))
			}
			return err
		}
	}
}
