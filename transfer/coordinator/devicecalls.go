package coordinator

import (
	"context"
	"fmt"
	"time"

	"steward/est/attest"
	"steward/transfer"
)

// change makes the Change of one row, and of the transfer if its state moves with
// it.
func change(t, before Transfer, r, rowBefore Row, actor string, receipts ...Receipt) Change {
	ch := Change{Rows: []Row{r}, Receipts: receipts, Audit: audited(rowBefore, r, actor)}
	if t.State != before.State {
		ch.Transfer = &t
		ch.Audit = append(ch.Audit, auditedTransfer(before, t, actor)...)
	}
	return ch
}

// catchUp moves an incoming transfer on by what the partner's call shows: it
// cannot see itself how far the outgoing provider is.
func (t *Transfer) catchUp(now time.Time, events ...transfer.BatchEvent) {
	for _, on := range events {
		if _, err := batchTable.Step(t.State, on); err == nil && t.Incoming {
			_ = t.apply(on, now) // the row exists
		}
	}
}

// receiveReady is step 7b: only a READY receipt that agrees with the offer, byte
// for byte, can ever open the right.
func (c *Coordinator) receiveReady(ctx context.Context, from Partner, call Call) (Reply, Change, error) {
	var none Change
	b, err := transfer.ParseReadyBody(call.Body)
	if err != nil {
		return Reply{}, none, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	t, r, err := c.deviceWith(ctx, from, call, b.Transfer)
	if err != nil {
		return Reply{}, none, err
	}
	if !r.Incoming || !r.accepts(transfer.RowReadyReceipt) || t.Offer.IsZero() {
		return Reply{}, none, refusedf(ErrState, "device is %s", r.State)
	}
	signed, err := foreignReceipt(r, b.Receipt)
	if err != nil {
		return Reply{}, none, err
	}
	if signed.Body.Epoch < uint64(r.Epoch) { // the network held it back
		return Reply{}, none, refusedf(ErrState, "the device has taken a later message")
	}
	if err := c.compareReady(ctx, t, r, signed); err != nil {
		return Reply{}, none, err
	}
	now, before, rowBefore := time.Now(), t, r
	r.Hash, r.Epoch = signed.Body.Message, uint32(signed.Body.Epoch) //nolint:gosec // validated: at most 2^32-1
	r.SPKI, r.ReadyAt, r.Reason = signed.Body.SPKI, now, ""
	if err := r.apply(transfer.RowReadyReceipt, now); err != nil {
		return Reply{}, none, err
	}
	t.catchUp(now, transfer.BatchApprove, transfer.BatchStage)
	return Reply{}, change(t, before, r, rowBefore, "peer:"+from.Name, kept(r, signed, b.Receipt)), nil
}

func (c *Coordinator) compareReady(ctx context.Context, t Transfer, r Row, signed *transfer.Signed[transfer.Receipt],
) error {
	offer, err := c.offer(ctx, r.Transfer)
	if err != nil {
		return err
	}
	pair, err := r.pair()
	if err != nil {
		return err
	}
	permanent, err := c.permanent(ctx, r)
	if err != nil {
		return err
	}
	err = transfer.CompareReady(signed, transfer.ReadyContext{
		Offer: offer, Device: pair, Subject: string(r.Endpoint), Permanent: permanent, Window: t.Window, Now: time.Now(),
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// receiveCommitted opens the right of a device that was told to commit.
func (c *Coordinator) receiveCommitted(ctx context.Context, from Partner, call Call) (Reply, Change, error) {
	var none Change
	b, err := transfer.ParseReadyBody(call.Body)
	if err != nil {
		return Reply{}, none, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	t, r, err := c.deviceWith(ctx, from, call, b.Transfer)
	if err != nil {
		return Reply{}, none, err
	}
	if r.Incoming && (r.Reached() && !r.Ended() || r.State == transfer.RowRevokedOld) {
		return Reply{}, none, nil // the device itself was faster
	}
	if !r.Incoming || r.State != transfer.RowReady {
		return Reply{}, none, refusedf(ErrState, "device is %s", r.State)
	}
	signed, err := foreignReceipt(r, b.Receipt)
	if err != nil {
		return Reply{}, none, err
	}
	ready, _, err := c.stored(ctx, r, transfer.Ready)
	if err != nil {
		return Reply{}, none, err
	}
	if signed.Hash != ready.Hash {
		return Reply{}, none, refusedf(ErrInvalid, "not the READY receipt that was accepted")
	}
	now, before, rowBefore := time.Now(), t, r
	r.CommittedAt, r.Reason = now, ""
	if err := r.applyAll(now, t.commits(r, transfer.RowCommit)...); err != nil {
		return Reply{}, none, err
	}
	t.catchUp(now, transfer.BatchApprove, transfer.BatchStage, transfer.BatchArm, transfer.BatchSwitch)
	return Reply{}, change(t, before, r, rowBefore, "peer:"+from.Name), nil
}

// receiveCompletion takes the receipts that end a device's transfer: the outgoing
// provider lets it go, or the incoming one learns that it returned.
func (c *Coordinator) receiveCompletion(ctx context.Context, from Partner, call Call) (Reply, Change, error) {
	var none Change
	b, err := transfer.ParseCompletion(call.Body)
	if err != nil {
		return Reply{}, none, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	t, r, err := c.deviceWith(ctx, from, call, b.Transfer)
	if err != nil {
		return Reply{}, none, err
	}
	rowBefore := r
	var receipts []Receipt
	var signed []*transfer.Signed[transfer.Receipt]
	for _, raw := range b.Receipts {
		s, err := foreignReceipt(r, raw)
		if err != nil {
			return Reply{}, none, err
		}
		signed, receipts = append(signed, s), append(receipts, kept(r, s, raw))
	}
	if r.Incoming {
		err = c.returned(ctx, &r, signed)
	} else {
		err = c.completed(ctx, &r, signed)
		c.shown(ctx, t, &r, b.Verdict)
	}
	if err != nil {
		return Reply{}, none, err
	}
	return Reply{}, change(t, t, r, rowBefore, "peer:"+from.Name, receipts...), nil
}

// shown takes the verdict that a partner shows with its receipts. The receipts have
// decided where the device is; a verdict that is missing is told to people.
func (c *Coordinator) shown(ctx context.Context, t Transfer, r *Row, raw []byte) {
	if !t.Attest || r.State != transfer.RowFinalised {
		return
	}
	v, err := c.shownVerdict(ctx, t, *r, raw)
	if err == nil && v.Tier == attest.TierAffirming {
		r.Verdict = raw
		return
	}
	r.Reason = "attestation was agreed, and the partner shows no affirming verdict"
}

// completed checks DONE and FINALISED at the outgoing provider.
func (c *Coordinator) completed(ctx context.Context, r *Row, signed []*transfer.Signed[transfer.Receipt]) error {
	ready, _, err := c.stored(ctx, *r, transfer.Ready)
	if err != nil {
		return refusedf(ErrState, "device is %s", r.State)
	}
	final := signed[len(signed)-1]
	var done *transfer.Signed[transfer.Receipt]
	switch {
	case len(signed) > 2:
		return refusedf(ErrInvalid, "%d receipts", len(signed))
	case len(signed) == 2:
		done = signed[0]
		if err := transfer.CompareDone(ready, done); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	if err := c.compareFinalised(ctx, *r, done, final); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if r.State == transfer.RowRevokedOld {
		return nil
	}
	now := time.Now()
	if r.mayReturn() && !r.Reached() { // the answer to Commit was lost
		r.CommittedAt = now
		if err := r.apply(transfer.RowCommit, now); err != nil {
			return fmt.Errorf("%w: %w", ErrState, err)
		}
	}
	if r.ActiveAt.IsZero() {
		r.ActiveAt = now
	}
	r.Reason = ""
	if err := r.apply(transfer.RowFinal, now); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

// returned checks FELL_BACK at the incoming provider.
func (c *Coordinator) returned(ctx context.Context, r *Row, signed []*transfer.Signed[transfer.Receipt]) error {
	ready, _, err := c.stored(ctx, *r, transfer.Ready)
	if err != nil {
		return refusedf(ErrState, "device is %s", r.State)
	}
	if err := transfer.CompareFellBack(ready, signed[len(signed)-1]); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if r.State == transfer.RowFellBack {
		return nil
	}
	now := time.Now()
	if r.State == transfer.RowReady { // nobody told us of the commit
		r.CommittedAt = now
		if err := r.apply(transfer.RowCommit, now); err != nil {
			return fmt.Errorf("%w: %w", ErrState, err)
		}
	}
	r.Reason = "the device is with its former provider again"
	if err := r.apply(transfer.RowFellBackEvent, now); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}
