package coordinator

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"steward/est"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/transfer"
)

// onTheWayBack reads the receipt of a device that asked our enrolment server with
// its factory certificate although it has left. It returns true if that is a
// FALLBACK receipt that was not known. Whoever holds a copy of the factory key can
// ask too: then there is no receipt, and nothing changes but an audit row.
func (c *Coordinator) onTheWayBack(ctx context.Context, s *step) bool {
	if !s.row.mayReturn() {
		return false
	}
	if _, ok := c.contacted(s.row.Factory); !ok {
		return false
	}
	signed, raw, err := c.readFallback(ctx, s.row)
	if err != nil {
		c.refuse(ctx, audit.Row{
			Actor: "device:" + string(s.row.Endpoint), Action: "transfer.contact", Subject: string(s.row.Device),
			Reason: err.Error(),
		})
		return false
	}
	if signed.Body.SPKI == s.row.Back {
		return false
	}
	if s.row.CommittedAt.IsZero() {
		s.row.CommittedAt = time.Now()
	}
	s.row.Back, s.row.Reason, s.row.Tries = signed.Body.SPKI, fellBecause(&signed.Body), 0
	s.receipts = append(s.receipts, kept(s.row, signed, raw))
	if !s.row.Reached() { // the answer to Commit was lost
		s.fire(transfer.RowCommit)
	}
	if signed.Body.Error == transfer.UpdateError && (len(s.events) > 0 || s.row.accepts(transfer.RowUpdateFail)) {
		s.fire(transfer.RowUpdateFail)
	}
	s.row.Due, s.again = time.Now(), true
	return true
}

// mayReturn reports whether the device may be on its way back: also where its part was
// ended, as long as it has not confirmed that it dropped the message.
func (r Row) mayReturn() bool {
	switch {
	case r.Incoming || r.State == transfer.RowReturned:
		return false
	case r.State == transfer.RowAborted, r.State == transfer.RowExpired:
		return len(r.Pending) > 0
	default:
		return r.State == transfer.RowReady || r.Committed() && !r.Ended()
	}
}

// fellBecause says in words what led to FALLBACK (label 31).
func fellBecause(r *transfer.Receipt) string {
	switch r.Error {
	case transfer.GraceError:
		return "the device fell back: its grace was over"
	case transfer.UpdateError:
		return "the device fell back: the update before its enrolment failed, and was rolled back"
	}
	const classBits = 5
	return fmt.Sprintf("the device fell back: refused with %d.%02d", r.Error>>classBits, r.Error&(1<<classBits-1))
}

// readFallback reads a FALLBACK receipt over the association that the device
// opened with its factory certificate.
func (c *Coordinator) readFallback(ctx context.Context, r Row) (*transfer.Signed[transfer.Receipt], []byte, error) {
	entries, err := c.o.Sessions.ReadFactory(ctx, r.Factory, c.resource(objects.TransferReceipt))
	if err != nil {
		return nil, nil, err
	}
	raw, err := c.receiptIn(entries)
	if err != nil {
		return nil, nil, err
	}
	signed, err := c.verifyReceipt(ctx, r, raw)
	if err != nil {
		return nil, nil, err
	}
	return signed, raw, c.isFallback(ctx, r, signed)
}

// isFallback checks that a verified receipt is a FALLBACK receipt of this
// transfer.
func (c *Coordinator) isFallback(ctx context.Context, r Row, signed *transfer.Signed[transfer.Receipt]) error {
	if signed.Body.State != transfer.InFall {
		return fmt.Errorf("%w: the receipt says %s", ErrEvidence, signed.Body.State)
	}
	ready, _, err := c.stored(ctx, r, transfer.Ready)
	if err != nil {
		return err
	}
	if err := signed.Body.Follows(ready); err != nil {
		return fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	return nil
}

// askClosed asks the partner to close its right and to say so. With that, and the
// FALLBACK receipt, the device may enrol here again. So it may when the partner is
// silent and its right has ended by contract: window and grace are over.
func (c *Coordinator) askClosed(ctx context.Context, s *step) error {
	_, raw, err := c.stored(ctx, s.row, transfer.InFall)
	if err != nil {
		return err
	}
	answer, err := c.post(ctx, s, ActionClose, transfer.Completion{Transfer: s.t.Key(), Receipts: [][]byte{raw}})
	if errors.Is(err, ErrPartnerAway) && time.Now().After(s.t.contractEnd().Add(2*transfer.ClockSkew)) {
		s.row.Reason = "the partner is silent and its right has ended by contract"
		s.fire(transfer.RowFallback)
		return nil
	}
	if err != nil {
		return err
	}
	status, err := verifyStatus(s.partner, answer)
	if err != nil {
		return err
	}
	if err := transfer.CompareClosed(&status, s.rightContext()); err != nil {
		return err
	}
	s.fire(transfer.RowFallback)
	return nil
}

// contractEnd is when the right of a device that committed ends at the incoming
// provider's CA by itself: whoever committed at the last moment has had its grace twice.
func (t Transfer) contractEnd() time.Time {
	latest := t.Window.Latest
	if !t.Incoming {
		latest = max(latest, t.Promised)
	}
	return latest.Time().Add(2 * t.Grace)
}

// verifyStatus checks the status of a right with the certificate of the partner's
// CA, or of its signer.
func verifyStatus(p Partner, raw []byte) (transfer.RightStatus, error) {
	var last error
	for _, der := range [][]byte{p.Issuing, p.Signing, p.NextSigning} {
		by, err := x509.ParseCertificate(der)
		if err != nil {
			continue
		}
		signed, err := transfer.VerifyRightStatus(raw, by)
		if err == nil {
			return signed.Body, nil
		}
		last = err
	}
	return transfer.RightStatus{}, fmt.Errorf("%w: status of a right: %w", ErrEvidence, last)
}

// reopenRight lets the device enrol here with the key of its FALLBACK receipt.
func (c *Coordinator) reopenRight(ctx context.Context, s *step) error {
	right, err := c.o.CA.Right(ctx, s.row.factoryHash())
	if err != nil {
		return err
	}
	back := est.Hash(s.row.Back)
	if back == (est.Hash{}) { // a right opened for that would be open for any key
		return fmt.Errorf("%w: no key of a FALLBACK receipt", ErrEvidence)
	}
	if right.SPKI == back && (right.State == est.RightOpen || right.State == est.RightConsumed) {
		return nil // done before
	}
	_, err = c.o.CA.ReopenRight(ctx, s.row.factoryHash(), back)
	return err
}

// readFellBack takes the receipt of a device that is registered here again.
func (c *Coordinator) readFellBack(ctx context.Context, s *step) error {
	signed, raw, err := c.readReceipt(ctx, s.row)
	if err != nil {
		return err
	}
	ready, _, err := c.stored(ctx, s.row, transfer.Ready)
	if err != nil {
		return err
	}
	if err := transfer.CompareFellBack(ready, signed); err != nil {
		return fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	if signed.Body.SPKI != s.row.Back {
		return fmt.Errorf("%w: FELL_BACK with another key than FALLBACK", ErrEvidence)
	}
	fall, _, err := c.stored(ctx, s.row, transfer.InFall)
	if err != nil {
		return err
	}
	s.row.ActiveAt, s.row.Reason = time.Now(), fellBecause(&fall.Body) // not what it waited for on the way
	s.receipts = append(s.receipts, kept(s.row, signed, raw))
	s.fire(transfer.RowFellBackEvent)
	return nil
}

// takeBack makes the device ours again.
func (c *Coordinator) takeBack(ctx context.Context, s *step) error {
	return c.own(ctx, s.row, fleet.Owned, "fell back from "+s.t.PartnerName)
}
