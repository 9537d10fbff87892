package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"steward/transfer"
)

// tellApproved tells the partner that its offer was approved. One that knows of no such
// call learns it from the first READY receipt.
func (c *Coordinator) tellApproved(ctx context.Context, t *Transfer) error {
	partner, err := c.o.Store.Partner(ctx, t.Partner)
	if err != nil {
		return err
	}
	_, err = c.post(ctx, &step{t: *t, partner: partner}, ActionApprove,
		transfer.OfferApproval{Offer: t.Offer, Transfer: t.Key()})
	if errors.Is(err, ErrDeclined) {
		return nil
	}
	return err
}

// receiveApproval takes the outgoing provider's approval of the offer that stands.
func (c *Coordinator) receiveApproval(ctx context.Context, from Partner, call Call) (Reply, Change, error) {
	var none Change
	b, err := transfer.ParseOfferApproval(call.Body)
	if err != nil {
		return Reply{}, none, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	t, err := c.transferWith(ctx, from, call.Transfer)
	switch {
	case err != nil:
		return Reply{}, none, err
	case string(b.Transfer) != string(t.Key()):
		return Reply{}, none, refusedf(ErrInvalid, "body of another transfer")
	case !t.Incoming || b.Offer != t.Offer || t.Over():
		return Reply{}, none, refusedf(ErrState, "transfer is %s, and that offer does not stand", t.State)
	}
	before := t
	t.catchUp(time.Now(), transfer.BatchApprove, transfer.BatchStage)
	if t.State == before.State {
		return Reply{}, none, nil
	}
	return Reply{}, Change{Transfer: &t, Audit: auditedTransfer(before, t, "peer:"+from.Name)}, nil
}

// offerOver ends an offer that nobody approved in time: at the outgoing provider by its
// expiry, at the incoming one by what the other says then, who alone knows whether it
// was approved.
func (c *Coordinator) offerOver(ctx context.Context, t *Transfer, now time.Time) error {
	if t.Incoming {
		partner, err := c.o.Store.Partner(ctx, t.Partner)
		if err != nil {
			return err
		}
		status, err := c.o.Peers.Status(ctx, partner, t.ID)
		if err != nil {
			return err
		}
		switch there := transfer.BatchState(status.State); {
		case there == transfer.BatchApproved, switching(there):
			t.catchUp(now, transfer.BatchApprove, transfer.BatchStage)
			return nil
		case there != transfer.BatchInfoAccepted:
			t.Tries++
			t.Due = now.Add(c.backoff(t.Tries))
			return nil
		}
	}
	t.Reason = "the offer expired before it was approved: another is needed"
	t.void()
	return t.apply(transfer.BatchOfferOver, now)
}

// expired reports whether an offer is over that waits for its approval.
func (t Transfer) expired(now time.Time) bool {
	return t.State == transfer.BatchOffered && !t.OfferUntil.IsZero() && !now.Before(t.OfferUntil)
}
