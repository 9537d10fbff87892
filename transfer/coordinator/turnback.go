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
		if ch, err = c.turnBack(ctx, t, r, signed, kept(r, signed, b.Receipts[0])); err != nil {
			return Reply{}, none, err
		}
	}
	raw, err := c.signedStatus(ctx, r.Factory)
	return Reply{TypeCOSE, raw}, ch, err
}

// turnBack closes the right and moves the row. The right comes first: the answer
// is the status that the CA has then, and its transaction decides a race with the
// device.
func (c *Coordinator) turnBack(ctx context.Context, t Transfer, r Row, fall *transfer.Signed[transfer.Receipt],
	receipt Receipt,
) (Change, error) {
	if err := c.shut(ctx, r); err != nil {
		return Change{}, err
	}
	now, before := time.Now(), r
	r.Reason = "the device asked its former provider to take it back: " + fellBecause(&fall.Body)
	var events []transfer.RowEvent
	if r.State == transfer.RowReady {
		r.CommittedAt = now
		events = append(events, transfer.RowCommit)
	}
	if fall.Body.Error == transfer.UpdateError && (len(events) > 0 || r.accepts(transfer.RowUpdateFail)) {
		events = append(events, transfer.RowUpdateFail)
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
