package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"steward/est"
	"steward/lwm2m/fleet"
	"steward/lwm2m/machine"
	"steward/objects"
	"steward/transfer"
)

// incomingEffects are those of the provider that takes over.
var incomingEffects = map[transfer.RowEffect]effect{
	transfer.RowNoteKey:      (*Coordinator).noteKey,
	transfer.RowOpenRight:    (*Coordinator).openRight,
	transfer.RowCloseRight:   (*Coordinator).closeRight,
	transfer.RowRevokeNew:    (*Coordinator).revokeNew,
	transfer.RowDeleteRight:  (*Coordinator).revokeNew,
	transfer.RowDoFinalise:   (*Coordinator).finalise,
	transfer.RowDoReturn:     (*Coordinator).doReturn,
	transfer.RowPostComplete: (*Coordinator).postComplete,
	transfer.RowTellClosed:   (*Coordinator).tellClosed,
	transfer.RowAlert:        (*Coordinator).alert,
}

// advanceIncoming does what the state of an incoming row without pending effects
// asks for.
func (c *Coordinator) advanceIncoming(ctx context.Context, s *step) error {
	spki, contact := c.contacted(s.row.Factory)
	switch s.row.State {
	case transfer.RowListed:
		return c.grant(ctx, s)
	case transfer.RowReady:
		// The key of the receipt is on the device alone: who asks with it has committed.
		if contact && !s.row.SPKI.IsZero() && spki == s.row.SPKI {
			s.row.CommittedAt, s.row.Reason = time.Now(), "the device asked before the partner told of it"
			s.fire(s.t.commits(s.row, transfer.RowContact)...)
		}
		return nil
	case transfer.RowFinalised:
		s.row.Pending, s.again = []transfer.RowEffect{transfer.RowPostComplete}, true
		return nil
	case transfer.RowReturned:
		return nil
	default:
		if s.row.Reached() {
			return c.receive(ctx, s)
		}
		return nil
	}
}

// grant registers the device: a row of the fleet, and a right that stays closed
// until it has committed.
func (c *Coordinator) grant(ctx context.Context, s *step) error {
	if s.t.State != transfer.BatchOffered {
		return nil
	}
	pair, err := s.row.pair()
	if err != nil {
		return err
	}
	factory, err := pair.Factory.X509()
	if err != nil {
		return err
	}
	_, err = c.o.CA.GrantRight(ctx, est.Grant{
		FactoryDER: factory.Raw, From: s.t.Window.Earliest.Time(), Until: s.t.contractEnd(),
	})
	if err == nil {
		s.row.Device, err = c.expect(ctx, s)
	}
	if err == nil && len(pair.Switch.Manifests) > 0 {
		err = c.o.Brought(ctx, s.row.Device, pair.Switch.Manifests, "peer:"+s.t.PartnerName)
	}
	if err == nil && pair.Switch.RA != nil && c.o.Attesters != nil {
		err = c.o.Attesters.Learn(ctx, s.row.Factory, *pair.Switch.RA, "peer:"+s.t.PartnerName)
	}
	switch {
	case errors.Is(err, est.ErrFactory), errors.Is(err, est.ErrName), errors.Is(err, est.ErrEndpoint),
		errors.Is(err, machine.ErrNoRow), errors.Is(err, fleet.ErrConflict): // it was free when it was judged
		s.row.Reason = err.Error()
		s.fire(transfer.RowAbort)
		return nil
	case err != nil:
		return err
	}
	s.fire(transfer.RowStage)
	return nil
}

// expect makes the device known to the fleet. One that was here before is found
// again.
func (c *Coordinator) expect(ctx context.Context, s *step) (fleet.ID, error) {
	d, err := c.o.Fleet.ByFactory(ctx, s.row.Factory)
	if errors.Is(err, fleet.ErrUnknown) {
		d, err = c.comesBack(ctx, s.row)
	}
	switch {
	case errors.Is(err, fleet.ErrUnknown):
		d = fleet.Device{
			ID: fleet.ID(c.o.NewID()), Factory: s.row.Factory, Endpoint: s.row.Endpoint, CreatedAt: time.Now(),
		}
	case err != nil:
		return "", err
	case d.Ownership == fleet.Expected:
		return d.ID, nil
	case d.Ownership == fleet.Owned: // it became ours since it was judged
		return "", fmt.Errorf("%w: %s is ours already", fleet.ErrConflict, d.Endpoint)
	}
	d.Ownership = fleet.Expected
	return d.ID, c.o.Fleet.Put(ctx, d, "peer:"+s.t.PartnerName, "transfer "+s.t.ID)
}

// noteKey binds the closed right to the key of the READY receipt.
func (c *Coordinator) noteKey(ctx context.Context, s *step) error {
	_, err := c.o.CA.NoteSPKI(ctx, s.row.factoryHash(), est.Hash(s.row.SPKI))
	return err
}

// open lets the device enrol with that key.
func (c *Coordinator) open(ctx context.Context, s *step) error {
	if err := c.followWindow(ctx, s); err != nil {
		return err
	}
	_, err := c.o.CA.OpenRight(ctx, s.row.factoryHash(), est.Hash(s.row.SPKI))
	if errors.Is(err, est.ErrWrongKey) { // the commit overtook the key of a later READY receipt
		if right, e := c.o.CA.Right(ctx, s.row.factoryHash()); e == nil && right.State == est.RightClosed {
			if err = c.noteKey(ctx, s); err == nil {
				_, err = c.o.CA.OpenRight(ctx, s.row.factoryHash(), est.Hash(s.row.SPKI))
			}
		}
	}
	if errors.Is(err, machine.ErrNoRow) {
		if right, e := c.o.CA.Right(ctx, s.row.factoryHash()); e == nil && right.State == est.RightConsumed {
			return nil // it has enrolled already
		}
	}
	return err
}

// closeRight takes the permission back. The right of a device that never
// committed is deleted, so that its factory key opens nothing here.
func (c *Coordinator) closeRight(ctx context.Context, s *step) error {
	if s.row.State == transfer.RowRAFailed || s.row.State == transfer.RowFailedUpd {
		// A closed right would tell the device to wait (5.03); this one never opens again.
		_, err := c.o.CA.DeleteRight(ctx, s.row.factoryHash(), est.CessationOfOperation)
		if errors.Is(err, est.ErrUnknown) {
			return nil
		}
		return err
	}
	if err := c.shut(ctx, s.row); err != nil {
		return err
	}
	if !s.row.Ended() {
		return nil
	}
	return c.revokeNew(ctx, s)
}

// shut closes a right; one that was consumed is deleted with its certificates.
func (c *Coordinator) shut(ctx context.Context, r Row) error {
	_, err := c.o.CA.CloseRight(ctx, r.factoryHash())
	if errors.Is(err, machine.ErrNoRow) {
		_, err = c.o.CA.DeleteRight(ctx, r.factoryHash(), est.CessationOfOperation)
	}
	if errors.Is(err, est.ErrUnknown) {
		return nil
	}
	return err
}

// revokeNew ends what the device has here: right, certificates, registration.
func (c *Coordinator) revokeNew(ctx context.Context, s *step) error {
	_, err := c.o.CA.DeleteRight(ctx, s.row.factoryHash(), est.CessationOfOperation)
	if err != nil && !errors.Is(err, est.ErrUnknown) {
		return err
	}
	if s.row.Device == "" {
		return nil
	}
	if err := c.o.Sessions.Dismiss(ctx, s.row.Device, "stays with "+s.t.PartnerName); err != nil {
		return err
	}
	return c.own(ctx, s.row, fleet.Left, "stays with "+s.t.PartnerName)
}

// receive follows a device that has committed: it enrols, it registers, and its
// DONE receipt makes it ours.
func (c *Coordinator) receive(ctx context.Context, s *step) error {
	right, err := c.o.CA.Right(ctx, s.row.factoryHash())
	if err != nil {
		return err
	}
	now := time.Now()
	silent := s.row.CommittedAt.Add(2 * s.t.Grace)
	switch {
	case right.State == est.RightConsumed && (s.row.State == transfer.RowCommitted ||
		s.row.State == transfer.RowAttested || s.row.State == transfer.RowUpdated):
		s.row.Reason = ""
		s.fire(transfer.RowEnrol)
		return nil
	case right.State == est.RightConsumed:
		err := c.readDone(ctx, s)
		if err == nil || !errors.Is(err, ErrUnreachable) || s.row.State == transfer.RowOrphanRisk || now.Before(silent) {
			return err
		}
	}
	if s.row.State != transfer.RowOrphanRisk && !now.Before(silent) && s.row.accepts(transfer.RowSilent) {
		s.row.Reason = "grace is over and nothing was heard"
		s.fire(transfer.RowSilent)
		return nil
	}
	c.halfGrace(ctx, s, now)
	s.row.Tries++
	s.due = now.Add(c.backoff(s.row.Tries))
	return nil
}

// readDone takes the receipt of a device that is registered here: DONE, or
// FINALISED if only that was not stored.
func (c *Coordinator) readDone(ctx context.Context, s *step) error {
	signed, raw, err := c.readReceipt(ctx, s.row)
	if err != nil {
		return err
	}
	if signed.Body.State == transfer.Finalised {
		return c.final(ctx, s, signed, raw)
	}
	ready, _, err := c.stored(ctx, s.row, transfer.Ready)
	if err != nil {
		return err
	}
	if err := transfer.CompareDone(ready, signed); err != nil {
		return fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	if err := c.renewed(ctx, s, signed); err != nil {
		return err
	}
	s.row.ActiveAt, s.row.Reason = time.Now(), ""
	s.receipts = append(s.receipts, kept(s.row, signed, raw))
	s.fire(transfer.RowActivate)
	return nil
}

// renewed returns ErrEvidence for a device that attested, or was updated first, and
// did not take a fresh key since: Finalise waits for that (transfer protocol §4, step
// 11). A device that finalises by itself meanwhile is ours nevertheless.
func (c *Coordinator) renewed(ctx context.Context, s *step, done *transfer.Signed[transfer.Receipt]) error {
	if !s.t.Attest && !s.t.UpdateFirst {
		return nil
	}
	record, err := c.o.CA.Lookup(ctx, est.Hash(done.Body.Operational))
	if err != nil {
		return err
	}
	if record.SPKI == est.Hash(s.row.SPKI) {
		return fmt.Errorf("%w: the device keeps the key with which it came", ErrEvidence)
	}
	return nil
}

// finalise executes Finalise and takes the receipt of it. Repeated, it changes
// nothing at the device.
func (c *Coordinator) finalise(ctx context.Context, s *step) error {
	err := c.o.Devices.Execute(ctx, s.row.Device, c.resource(objects.TransferFinalise), s.row.order())
	if errors.Is(err, ErrUnreachable) {
		return err
	}
	signed, raw, readErr := c.readReceipt(ctx, s.row) // refused or not, the receipt says what is
	switch {
	case readErr != nil:
		return errors.Join(err, readErr)
	case signed.Body.State != transfer.Finalised:
		return errors.Join(err, fmt.Errorf("the device is %s", signed.Body.State))
	}
	return c.final(ctx, s, signed, raw)
}

// final takes a FINALISED receipt: the device is ours.
func (c *Coordinator) final(ctx context.Context, s *step, signed *transfer.Signed[transfer.Receipt], raw []byte) error {
	done, _, err := c.stored(ctx, s.row, transfer.Done)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return err
	}
	if done != nil && signed.Body.Previous != done.Hash { // it fell back and came again: this DONE was not read
		done = nil
	}
	if err := c.compareFinalised(ctx, s.row, done, signed); err != nil {
		return fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	if err := c.own(ctx, s.row, fleet.Owned, "taken over from "+s.t.PartnerName); err != nil {
		return err
	}
	if s.row.ActiveAt.IsZero() {
		s.row.ActiveAt = time.Now()
	}
	s.row.Reason = ""
	s.receipts = append(s.receipts, kept(s.row, signed, raw))
	s.fire(transfer.RowFinal)
	return nil
}

// postComplete gives the partner the receipts on which it lets the device go. Its
// answer means that it has revoked the former certificates, or will.
func (c *Coordinator) postComplete(ctx context.Context, s *step) error {
	final, raw, err := c.stored(ctx, s.row, transfer.Finalised)
	if err != nil {
		return err
	}
	receipts := [][]byte{raw}
	done, raw, err := c.stored(ctx, s.row, transfer.Done)
	switch {
	case err == nil && final.Body.Previous == done.Hash:
		receipts = [][]byte{raw, receipts[0]}
	case err != nil && !errors.Is(err, ErrUnknown):
		return err
	}
	_, err = c.post(ctx, s, ActionComplete, transfer.Completion{
		Transfer: s.t.Key(), Receipts: receipts, Verdict: s.row.Verdict,
	})
	if err != nil {
		return err
	}
	s.row.Reason = ""
	s.fire(transfer.RowRevoke)
	return nil
}

// doReturn sends a device back that is here already. One that is not finds its
// right closed.
func (c *Coordinator) doReturn(ctx context.Context, s *step) error {
	err := c.o.Devices.Execute(ctx, s.row.Device, c.resource(objects.TransferReturn), s.row.order())
	if errors.Is(err, ErrUnreachable) || errors.Is(err, ErrRefused) {
		return nil
	}
	return err
}
