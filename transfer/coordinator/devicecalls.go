package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/est"
	"steward/lwm2m/fleet"
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
	if !r.Incoming || !r.accepts(transfer.RowReadyReceipt) {
		return Reply{}, none, refusedf(ErrState, "device is %s", r.State)
	}
	signed, err := foreignReceipt(r, b.Receipt)
	if err != nil {
		return Reply{}, none, err
	}
	if err := c.compareReady(ctx, r, signed); err != nil {
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

func (c *Coordinator) compareReady(ctx context.Context, r Row, signed *transfer.Signed[transfer.Receipt]) error {
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
		Offer: offer, Device: pair, Subject: string(r.Endpoint), Permanent: permanent, Now: time.Now(),
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
	if err := r.applyAll(now, transfer.RowCommit, transfer.RowPass); err != nil {
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
	}
	if err != nil {
		return Reply{}, none, err
	}
	return Reply{}, change(t, t, r, rowBefore, "peer:"+from.Name, receipts...), nil
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
	if r.State == transfer.RowReady || r.State == transfer.RowUnknown { // the answer to Commit was lost
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

// receiveClose closes the right of a device that showed a FALLBACK receipt to its
// former provider, and says how the right stands. A device that is here already
// keeps it.
func (c *Coordinator) receiveClose(ctx context.Context, from Partner, call Call) (Reply, Change, error) {
	var none Change
	b, err := transfer.ParseCompletion(call.Body)
	if err != nil {
		return Reply{}, none, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	t, r, err := c.deviceWith(ctx, from, call, b.Transfer)
	if err != nil {
		return Reply{}, none, err
	}
	if !r.Incoming {
		return Reply{}, none, refusedf(ErrState, "the right is not ours")
	}
	signed, err := foreignReceipt(r, b.Receipts[0])
	if err != nil {
		return Reply{}, none, err
	}
	ch := Change{}
	if gone := !r.Ended() && r.State != transfer.RowActive && r.State != transfer.RowFinalised; gone {
		if err := c.isFallback(ctx, r, signed); err != nil {
			return Reply{}, none, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if ch, err = c.turnBack(ctx, t, r, kept(r, signed, b.Receipts[0])); err != nil {
			return Reply{}, none, err
		}
	}
	raw, err := c.signedStatus(ctx, r.Factory)
	return Reply{TypeCOSE, raw}, ch, err
}

// turnBack closes the right and moves the row. The right comes first: the answer
// is the status that the CA has then, and its transaction decides a race with the
// device.
func (c *Coordinator) turnBack(ctx context.Context, t Transfer, r Row, receipt Receipt) (Change, error) {
	if err := c.shut(ctx, r); err != nil {
		return Change{}, err
	}
	now, before := time.Now(), r
	r.Reason = "the device asked its former provider to take it back"
	var events []transfer.RowEvent
	if r.State == transfer.RowReady {
		r.CommittedAt = now
		events = append(events, transfer.RowCommit)
	}
	if err := r.applyAll(now, append(events, transfer.RowFallback)...); err != nil {
		return Change{}, fmt.Errorf("%w: %w", ErrState, err)
	}
	r.Pending = nil // the right is closed, and what was issued under it is revoked
	return change(t, t, r, before, "peer:"+t.PartnerName, receipt), nil
}

// signedStatus signs what our CA says about a right.
func (c *Coordinator) signedStatus(ctx context.Context, factory fleet.Factory) ([]byte, error) {
	s, err := c.o.CA.RightStatus(ctx, est.Hash(factory))
	if err != nil {
		return nil, err
	}
	states := map[est.RightState]transfer.RightState{
		est.RightClosed: transfer.RightClosed, est.RightOpen: transfer.RightOpen,
		est.RightConsumed: transfer.RightConsumed, est.RightSuspended: transfer.RightSuspended,
	}
	return transfer.RightStatus{
		Issuer: s.Issuer, IssuedAt: transfer.SecondsOf(s.At), RightStatusTerms: transfer.RightStatusTerms{
			Factory: transfer.Hash(s.Factory), State: states[s.State], SPKI: transfer.Hash(s.SPKI),
			Issued: transfer.Hash(s.Issued),
		},
	}.Sign(c.o.StatusSigner)
}

// receiveWithdrawal ends a transfer, or some devices' part in it, because the
// partner says so.
func (c *Coordinator) receiveWithdrawal(ctx context.Context, from Partner, call Call) (Reply, Change, error) {
	var none Change
	w, err := transfer.ParseWithdrawal(call.Body)
	if err != nil {
		return Reply{}, none, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	t, err := c.transferWith(ctx, from, call.Transfer)
	if err != nil {
		return Reply{}, none, err
	}
	if !slices.Equal(w.Transfer, t.Key()) {
		return Reply{}, none, refusedf(ErrInvalid, "body of another transfer")
	}
	if t.Over() {
		return Reply{}, none, nil
	}
	actor, now := "peer:"+from.Name, time.Now()
	if len(w.Devices) == 0 {
		before := t
		t.Reason = "withdrawn by the partner: " + w.Reason
		if err := t.apply(transfer.BatchCancel, now); err != nil {
			return Reply{}, none, err
		}
		t.Pending = slices.DeleteFunc(t.Pending, func(e transfer.BatchEffect) bool { return e == transfer.BatchTell })
		return Reply{}, Change{Transfer: &t, Audit: auditedTransfer(before, t, actor)}, nil
	}
	ch := Change{}
	for _, d := range w.Devices {
		r, err := c.o.Store.Row(ctx, t.ID, d.Device.String())
		if err != nil {
			return Reply{}, none, err
		}
		before := r
		r.Reason = "withdrawn by the partner: " + d.Reason
		err = r.apply(transfer.RowAbort, now)
		if err != nil && !before.Ended() {
			return Reply{}, none, errors.Join(refusedf(ErrState, "device %s is %s", r.Short, before.State), err)
		}
		if err != nil {
			continue // it has ended here too
		}
		r.Pending = slices.DeleteFunc(r.Pending, func(e transfer.RowEffect) bool { return e == transfer.RowTellClosed })
		ch.Rows = append(ch.Rows, r)
		ch.Audit = append(ch.Audit, audited(before, r, actor)...)
	}
	return Reply{}, ch, nil
}
