package coordinator

import (
	"context"
	"errors"
	"time"

	"steward/transfer"
)

// revokeOffers takes back what was offered to or by a partner that is suspended and that
// nobody has approved: whoever signed it may have been a thief (transfer protocol §7).
func (c *Coordinator) revokeOffers(ctx context.Context, partner, actor string) error {
	return c.eachWith(ctx, partner, func(t Transfer) error {
		if t.State != transfer.BatchOffered {
			return nil
		}
		_, err := c.command(ctx, t.ID, actor, func(t *Transfer, _ *Change) error {
			if t.State != transfer.BatchOffered {
				return errNothing
			}
			t.Reason = "the offer was revoked: partner " + t.PartnerName + " is suspended"
			t.void()
			return t.apply(transfer.BatchOfferOver, time.Now())
		})
		if errors.Is(err, errNothing) {
			return nil
		}
		return err
	})
}

// Holding calls fn with every device that may trust the anchors of a partner and is not,
// or not yet, the partner's: those of ours on which they are staged, those that are on
// their way there, and those that come from the partner and have not dropped them.
func (c *Coordinator) Holding(ctx context.Context, partner string, fn func(Row)) error {
	with := map[string]bool{}
	if err := c.eachWith(ctx, partner, func(t Transfer) error { with[t.ID] = true; return nil }); err != nil {
		return err
	}
	var open []Row
	err := c.o.Store.EachOpenRow(ctx, func(r Row) {
		if with[r.Transfer] {
			open = append(open, r)
		}
	})
	if err != nil {
		return err
	}
	for _, key := range open {
		r, err := c.o.Store.Row(ctx, key.Transfer, key.Short)
		if err != nil {
			return err
		}
		if r.holds() {
			fn(r)
		}
	}
	return nil
}

// holds reports whether the device may trust the partner's anchors.
func (r Row) holds() bool {
	switch r.State {
	case transfer.RowRejected, transfer.RowFinalised, transfer.RowRevokedOld:
		return false
	case transfer.RowAborted, transfer.RowExpired, transfer.RowFellBack:
		return !r.Incoming && len(r.Pending) > 0 // until it is known that they were removed
	case transfer.RowListed:
		return r.Incoming || r.Message != nil
	default:
		return true
	}
}
