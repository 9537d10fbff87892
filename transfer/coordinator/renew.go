package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/est"
	"steward/transfer"
)

// outlived reports whether the window of the transfer goes on beyond the message that
// the device holds: its end is signed, so only another message has a later one.
func (s *step) outlived(now time.Time) bool {
	if !s.t.Moved || s.row.Message == nil {
		return false
	}
	m, err := transfer.ParseMessage(s.row.Message)
	return err == nil && !now.Before(m.Body.Expires.Time())
}

// renew has a device in READY drop a message that has ended, so that it gets another of
// the next epoch. Only when the device is known to have dropped it is the row LISTED
// again: a Commit that the network held back may come until then.
func (c *Coordinator) renew(ctx context.Context, s *step) error {
	object, state, err := c.readTransfer(ctx, s.row.Device)
	switch {
	case err != nil:
		return err
	case state == transfer.Ready && object.Epoch == s.row.Epoch && slices.Equal(object.MessageHash, s.row.Hash[:]):
		if err := c.abortOther(ctx, s.row.Device, object); !errors.Is(err, errAborted) {
			return err
		}
	case state == transfer.Ready:
		return c.abortOther(ctx, s.row.Device, object)
	case !state.AtRest():
		return fmt.Errorf("the device is %s", state)
	}
	s.row.Reason = "its message ended before the window does: it gets a new one"
	s.fire(transfer.RowRenew)
	return nil
}

// mandateFor returns the mandate that messages go by: that of the last extension which
// brought one.
func (c *Coordinator) mandateFor(ctx context.Context, t Transfer) ([]byte, error) {
	if t.Moved && t.MovedMandate != t.Mandate {
		papers, err := c.o.Store.Papers(ctx, t.ID)
		if err != nil {
			return nil, err
		}
		for _, p := range slices.Backward(papers) {
			if x, err := transfer.ParseExtension(p.Raw); p.Kind == PaperAsk && err == nil && x.Document != nil &&
				x.Mandate == t.MovedMandate {
				return x.Document, nil
			}
		}
	}
	docs, err := c.o.Store.Documents(ctx, t.ID)
	return docs.Mandate, err
}

// recordExtensions returns the agreements to a later end, each with its mandate.
func (c *Coordinator) recordExtensions(ctx context.Context, t Transfer, docs Documents) (
	out []transfer.RecordExtension, err error,
) {
	papers, err := c.o.Store.Papers(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	mandates := map[transfer.Hash][]byte{t.Mandate: docs.Mandate}
	for _, p := range papers {
		if x, err := transfer.ParseExtension(p.Raw); p.Kind == PaperAsk && err == nil && x.Document != nil {
			mandates[x.Mandate] = x.Document
		}
		if a, err := transfer.ParseAgreement(p.Raw); p.Kind == PaperAgreement && err == nil &&
			a.Body.Offer == t.Offer {
			out = append(out, transfer.RecordExtension{Agreement: p.Raw, Mandate: mandates[a.Body.Mandate]})
		}
	}
	return out, nil
}

// recordRevised returns the informations that were revised, with what was answered.
func (c *Coordinator) recordRevised(ctx context.Context, id string) (out []transfer.RecordRevision, err error) {
	papers, err := c.o.Store.Papers(ctx, id)
	if err != nil {
		return nil, err
	}
	for i, p := range papers {
		if p.Kind == PaperAnswer && i > 0 && papers[i-1].Kind == PaperInfo {
			out = append(out, transfer.RecordRevision{Info: papers[i-1].Raw, Answer: p.Raw})
		}
	}
	return out, nil
}

// signedMandate returns that mandate, parsed. It was verified when it was stored.
func (c *Coordinator) signedMandate(ctx context.Context, t Transfer) (*transfer.Signed[transfer.Mandate], error) {
	raw, err := c.mandateFor(ctx, t)
	if err != nil {
		return nil, err
	}
	return transfer.ParseMandate(raw)
}

// followWindow lets the right of a device that has committed end as the window does by
// now, before it opens.
func (c *Coordinator) followWindow(ctx context.Context, s *step) error {
	if !s.t.Moved && !s.t.Revised {
		return nil
	}
	right, err := c.o.CA.Right(ctx, s.row.factoryHash())
	if err != nil || right.State != est.RightClosed || right.Until.Equal(s.t.contractEnd()) {
		return err
	}
	_, err = c.o.CA.GrantRight(ctx, est.Grant{
		FactoryDER: right.FactoryDER, From: s.t.Window.Earliest.Time(), Until: s.t.contractEnd(),
	})
	return err
}
