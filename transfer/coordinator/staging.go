package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/transfer"
)

// prepare does for a device what comes before its message.
func (c *Coordinator) prepare(ctx context.Context, s *step) error {
	for _, ready := range []func(context.Context, *step) (bool, error){c.lastUpdated, c.asTold} {
		if ok, err := ready(ctx, s); err != nil || !ok {
			return err
		}
	}
	return c.stage(ctx, s)
}

// stage writes the anchors of the new domain to a device and reads them back.
func (c *Coordinator) stage(ctx context.Context, s *step) error {
	if !switching(s.t.State) {
		return nil
	}
	offer, err := c.offer(ctx, s.t.ID)
	if err != nil {
		return err
	}
	plan, err := c.plan(ctx, s.row.Device, offer.Body.Anchors)
	if err != nil {
		return err
	}
	if len(plan) > 0 {
		if err := c.carryOut(ctx, s.row.Device, plan); err != nil {
			return err
		}
		if plan, err = c.plan(ctx, s.row.Device, offer.Body.Anchors); err != nil {
			return err
		}
		if len(plan) > 0 {
			return fmt.Errorf("%w: truststore is not as written", ErrRefused)
		}
	}
	s.row.Reason = ""
	s.fire(transfer.RowStage)
	return nil
}

// offer returns the offer of a transfer, which was verified when it was stored.
func (c *Coordinator) offer(ctx context.Context, id string) (*transfer.Signed[transfer.Offer], error) {
	docs, err := c.o.Store.Documents(ctx, id)
	if err != nil {
		return nil, err
	}
	return transfer.ParseOffer(docs.Offer)
}

// plan compares a device's truststore, as read, with the anchors wanted.
func (c *Coordinator) plan(ctx context.Context, id fleet.ID, want []transfer.OfferCertificate) (
	[]transfer.AnchorChange, error,
) {
	have, err := c.readTruststore(ctx, id)
	if err != nil {
		return nil, err
	}
	var own []transfer.Thumbprint
	for _, a := range c.o.Domain.Anchors {
		own = append(own, transfer.ThumbprintOf(a.Certificate))
	}
	return transfer.PlanTruststore(have, own, want), nil
}

// readTruststore reads all instances of Truststore.
func (c *Coordinator) readTruststore(ctx context.Context, id fleet.ID) ([]transfer.Anchor, error) {
	object := lwm2m.NewPath(c.o.Objects.Truststore)
	entries, err := c.o.Devices.Read(ctx, id, object)
	if err != nil {
		return nil, err
	}
	instances := map[uint16]bool{}
	for _, e := range entries {
		if object.Contains(e.Path) && e.Path.Len() > 1 {
			instances[e.Path.ID(1)] = true
		}
	}
	if len(instances) > transfer.MaxInstances {
		return nil, fmt.Errorf("%w: truststore of %d instances", ErrRefused, len(instances))
	}
	var anchors []transfer.Anchor
	for _, i := range slices.Sorted(maps.Keys(instances)) {
		t, err := objects.DecodeTruststore(object.Child(i), entries)
		if err != nil {
			return nil, fmt.Errorf("%w: truststore: %w", ErrRefused, err)
		}
		anchors = append(anchors, transfer.Anchor{
			Instance: i, Certificate: t.Certificate, Purposes: transfer.Purposes(t.Purposes), Domain: transfer.Domain(t.Domain),
		})
	}
	return anchors, nil
}

// carryOut performs the changes of a plan.
func (c *Coordinator) carryOut(ctx context.Context, id fleet.ID, plan []transfer.AnchorChange) error {
	object := lwm2m.NewPath(c.o.Objects.Truststore)
	for _, change := range plan {
		var err error
		switch change.Do {
		case transfer.OpCreate:
			anchor := objects.Anchor{Certificate: change.Certificate, Purposes: uint64(change.Purposes)}
			err = c.o.Devices.Create(ctx, id, object.Object(), anchor.Entries(object.Child(0)))
		case transfer.OpWrite:
			err = c.o.Devices.Write(ctx, id, object.Child(change.Instance).Child(objects.TruststorePurposes),
				lwm2m.Unsigned(uint64(change.Purposes)))
		case transfer.OpDelete:
			err = c.o.Devices.Delete(ctx, id, object.Child(change.Instance))
		default:
			err = fmt.Errorf("plan: %w", transfer.ErrNotImplemented)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeMessage writes the TransferMessage. It is signed and stored before it is
// written, so that a repetition writes the identical bytes.
func (c *Coordinator) writeMessage(ctx context.Context, s *step) error {
	object, state, err := c.readTransfer(ctx, s.row.Device)
	if err != nil {
		return err
	}
	switch {
	case state == transfer.Ready && s.row.Message != nil && object.Epoch == s.row.Epoch &&
		slices.Equal(object.MessageHash, s.row.Hash[:]):
		s.fire(transfer.RowDeliver) // only the answer was lost
		return nil
	case state == transfer.Ready:
		return c.abortOther(ctx, s.row.Device, object)
	case !state.AtRest():
		return fmt.Errorf("%w: the device is %s", ErrRefused, state)
	case s.row.Message == nil || s.row.Epoch != object.Epoch+1 || s.outlived(time.Now()):
		s.again = true
		return c.signMessage(ctx, s, object.Epoch+1)
	}
	if ok, err := c.asTold(ctx, s); err != nil || !ok {
		return errors.Join(err, s.waiting(ok))
	}
	if err := c.writeMandate(ctx, s); err != nil {
		return err
	}
	err = c.o.Devices.Write(ctx, s.row.Device, c.resource(objects.TransferMessage), lwm2m.Opaque(s.row.Message))
	if err != nil {
		return c.explain(ctx, s.row.Device, err)
	}
	s.row.Reason = ""
	s.fire(transfer.RowDeliver)
	return nil
}

// abortOther clears away the message of an earlier transfer that a device still
// holds in READY.
func (c *Coordinator) abortOther(ctx context.Context, id fleet.ID, object objects.Transfer) error {
	if len(object.MessageHash) != len(transfer.Hash{}) {
		return fmt.Errorf("%w: READY without a message", ErrRefused)
	}
	order := transfer.OrderOf(object.Epoch, transfer.Hash(object.MessageHash))
	if err := c.o.Devices.Execute(ctx, id, c.resource(objects.TransferAbort), order.String()); err != nil {
		return err
	}
	return errAborted
}

// errAborted says that a device in READY dropped what it held: try again.
var errAborted = errors.New("an earlier message was aborted")

// explain adds the number of the check that refused a message.
func (c *Coordinator) explain(ctx context.Context, id fleet.ID, refused error) error {
	if object, _, err := c.readTransfer(ctx, id); err == nil && object.Error != 0 {
		return fmt.Errorf("message refused, check E%d: %w", object.Error, refused)
	}
	return refused
}

// signMessage makes the message for an epoch.
func (c *Coordinator) signMessage(ctx context.Context, s *step, epoch uint32) error {
	offer, err := c.offer(ctx, s.t.ID)
	if err != nil {
		return err
	}
	m := transfer.Message{
		Issuer: c.o.Name, Subject: string(s.row.Endpoint), Audience: s.t.PartnerName,
		Expires: s.t.Window.Latest, NotBefore: s.t.Window.Earliest, ID: s.t.Key(),
		MessageTerms: transfer.MessageTerms{
			Destination: offer.Body.Destination, FallbackURI: c.o.Domain.ServerURI, Epoch: uint64(epoch),
			Offer: offer.Hash, FallbackEnrollURI: c.o.Domain.EnrollURI, Factory: transfer.Hash(s.row.Factory),
		},
	}
	if !s.t.Self {
		holds, err := c.holdsMandateSigner(ctx, s.row.Device)
		if err != nil {
			return err
		}
		if holds {
			mandate, err := c.signedMandate(ctx, s.t)
			if err != nil {
				return err
			}
			m.Mandate = mandate.Hash
		}
	}
	raw, err := m.Sign(c.o.Signer)
	if err != nil {
		return err
	}
	signed, err := transfer.ParseMessage(raw)
	if err != nil {
		return err
	}
	s.row.Message, s.row.Hash, s.row.Epoch = raw, signed.Hash, epoch
	return nil
}

func (c *Coordinator) holdsMandateSigner(ctx context.Context, id fleet.ID) (bool, error) {
	have, err := c.readTruststore(ctx, id)
	return slices.ContainsFunc(have, func(a transfer.Anchor) bool { return a.Purposes.Has(transfer.MandateSigner) }), err
}

// writeMandate gives a device that demands it the mandate of the service user.
func (c *Coordinator) writeMandate(ctx context.Context, s *step) error {
	m, err := transfer.ParseMessage(s.row.Message)
	if err != nil || m.Body.Mandate.IsZero() {
		return err
	}
	mandate, err := c.mandateFor(ctx, s.t)
	if err != nil {
		return err
	}
	return c.o.Devices.Write(ctx, s.row.Device, c.resource(objects.TransferMandate),
		lwm2m.Opaque(transfer.Untag(mandate)))
}

// readReady observes the device's state and takes its READY receipt.
func (c *Coordinator) readReady(ctx context.Context, s *step) error {
	if err := c.o.Devices.Observe(ctx, s.row.Device, c.resource(objects.TransferState)); err != nil {
		return err
	}
	signed, raw, err := c.readReceipt(ctx, s.row)
	if err != nil {
		return err
	}
	if signed.Body.State != transfer.Ready || signed.Body.Message != s.row.Hash {
		return fmt.Errorf("%w: the receipt says %s", ErrRefused, signed.Body.State)
	}
	if s.row.outdated(signed.Body.Installed) {
		ok, err := c.asTold(ctx, s)
		return cmp.Or(err, s.waiting(ok), errUnknownSoftware)
	}
	s.row.SPKI, s.row.ReadyAt, s.row.Reason = signed.Body.SPKI, time.Now(), ""
	s.receipts = append(s.receipts, kept(s.row, signed, raw))
	s.fire(transfer.RowReadyReceipt)
	return nil
}

// executeAbort makes a device drop the message.
func (c *Coordinator) executeAbort(ctx context.Context, s *step) error {
	if s.row.Message == nil {
		return nil
	}
	object, state, err := c.readTransfer(ctx, s.row.Device)
	if err != nil {
		return c.gone(ctx, s, err)
	}
	if state != transfer.Ready || !slices.Equal(object.MessageHash, s.row.Hash[:]) {
		return nil
	}
	return c.o.Devices.Execute(ctx, s.row.Device, c.resource(objects.TransferAbort), s.row.order())
}

// unstage removes what was staged, and lets the device renew its certificate
// again if its right was suspended while it was unknown where it is.
func (c *Coordinator) unstage(ctx context.Context, s *step) error {
	right, err := c.o.CA.Right(ctx, s.row.factoryHash())
	if err == nil && right.State == est.RightSuspended {
		_, err = c.o.CA.ReopenRight(ctx, s.row.factoryHash(), right.SPKI)
	}
	if err != nil && !errors.Is(err, est.ErrUnknown) {
		return err
	}
	plan, err := c.plan(ctx, s.row.Device, nil)
	if err != nil {
		return c.gone(ctx, s, err)
	}
	return c.carryOut(ctx, s.row.Device, plan)
}

// gone ends the clearing up at a device that is another provider's by now.
func (c *Coordinator) gone(ctx context.Context, s *step, failed error) error {
	if d, err := c.o.Fleet.Device(ctx, s.row.Device); err == nil && d.Ownership != fleet.Owned {
		return nil
	}
	return failed
}
