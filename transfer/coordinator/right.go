package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"steward/transfer"
)

// RightFor tells a partner, signed by our CA, how the right of a device stands that it
// handed over: what its outgoing provider can verify although it cannot see the device.
// It returns ErrUnknown, or ErrState for a device that was rejected or is not to come.
func (c *Coordinator) RightFor(ctx context.Context, from Partner, id, device string) ([]byte, error) {
	t, err := c.transferWith(ctx, from, id)
	if err != nil {
		return nil, err
	}
	r, err := c.o.Store.Row(ctx, t.ID, device)
	if err != nil {
		return nil, err
	}
	if !r.Incoming || r.State == transfer.RowRejected {
		return nil, refusedf(ErrState, "the right is not ours")
	}
	return c.signedStatus(ctx, r.Factory)
}

// rightContext is what the status of a device's right at the partner's CA is held against.
func (s *step) rightContext() transfer.RightContext {
	out := transfer.RightContext{Factory: transfer.Hash(s.row.Factory), SPKI: s.row.SPKI, Now: time.Now()}
	if m, err := transfer.ParseMessage(s.row.Message); err == nil {
		d, err := transfer.ParseDestination(m.Body.Destination)
		out.Renewed = err == nil && d.Renews()
	}
	return out
}

// proveEnrolled asks the partner's CA for what the partner says of a device: that it has
// enrolled there. The CA's signed word is known, the partner's is inferred.
func (c *Coordinator) proveEnrolled(ctx context.Context, s *step, there transfer.RowState) {
	switch there {
	case transfer.RowEnrolled, transfer.RowActive, transfer.RowFinalised, transfer.RowRevokedOld:
	default:
		return
	}
	if s.row.Right != nil || !s.row.accepts(transfer.RowEnrol) || s.row.State == transfer.RowActive {
		return
	}
	raw, err := c.o.Peers.Right(ctx, s.partner, s.t.ID, s.row.Short)
	if err != nil {
		return // one that knows of no such call is believed without, as far as that goes
	}
	status, err := verifyStatus(s.partner, raw)
	if err == nil {
		x := s.rightContext()
		x.Renewed = x.Renewed || there == transfer.RowFinalised || there == transfer.RowRevokedOld // in its new life
		err = transfer.CompareEnrolled(&status, x)
	}
	if err != nil {
		s.row.Reason = fmt.Sprintf("the partner says %s: %v", there, err)
		if errors.Is(err, transfer.ErrRightKey) {
			_ = c.alert(ctx, s) // it never fails
		}
		return
	}
	s.row.Right = raw
	s.fire(transfer.RowEnrol)
}
