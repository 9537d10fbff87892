package coordinator

import (
	"context"
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

// knownRight verifies the status of a device's right, signed by the partner's CA: it is
// of this device, and fresh. It returns ErrEvidence.
func knownRight(s *step, raw []byte) (transfer.RightStatus, error) {
	status, err := verifyStatus(s.partner, raw)
	if err != nil {
		return status, err
	}
	age := time.Since(status.IssuedAt.Time())
	switch {
	case status.Factory != transfer.Hash(s.row.Factory):
		err = fmt.Errorf("%w: status of another right", ErrEvidence)
	case age > statusAge || age < -statusAge:
		err = fmt.Errorf("%w: status of %s", ErrEvidence, status.IssuedAt.Time())
	}
	return status, err
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
	status, err := knownRight(s, raw)
	switch {
	case err != nil:
		s.row.Reason = err.Error()
	case status.State != transfer.RightConsumed || status.Issued.IsZero():
		s.row.Reason = fmt.Sprintf("the partner says %s, its CA has issued nothing", there)
	case status.SPKI != s.row.SPKI && !s.row.SPKI.IsZero():
		s.row.Reason = "the partner's CA has enrolled another key than that of READY"
		_ = c.alert(ctx, s)
	default:
		s.row.Right = raw
		s.fire(transfer.RowEnrol)
	}
}
