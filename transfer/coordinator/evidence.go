package coordinator

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/transfer"
)

// ErrEvidence reports a receipt or status that does not prove what it is to prove.
var ErrEvidence = errors.New("no evidence")

// transferObject is the only instance of the Transfer object of our devices.
func (c *Coordinator) transferObject() lwm2m.Path { return lwm2m.NewPath(c.o.Objects.Transfer, 0) }

// resource is one resource of it.
func (c *Coordinator) resource(id uint16) lwm2m.Path { return c.transferObject().Child(id) }

// readTransfer reads the Transfer object of a device.
func (c *Coordinator) readTransfer(ctx context.Context, id fleet.ID) (objects.Transfer, transfer.DeviceState, error) {
	entries, err := c.o.Devices.Read(ctx, id, c.transferObject())
	if err != nil {
		return objects.Transfer{}, "", err
	}
	object, err := objects.DecodeTransfer(c.transferObject(), entries)
	if err != nil {
		return objects.Transfer{}, "", fmt.Errorf("%w: Transfer object: %w", ErrRefused, err)
	}
	state, err := transfer.DeviceStateOf(uint64(object.State))
	if err != nil {
		return objects.Transfer{}, "", fmt.Errorf("%w: Transfer object: %w", ErrRefused, err)
	}
	return object, state, nil
}

// receiptIn returns the value of resource Receipt.
func (c *Coordinator) receiptIn(entries []lwm2m.Entry) ([]byte, error) {
	path := c.resource(objects.TransferReceipt)
	for _, e := range entries {
		if e.Path == path && e.Value.Kind() == lwm2m.KindOpaque {
			return e.Value.Bytes(), nil
		}
	}
	return nil, fmt.Errorf("%w: no receipt", ErrRefused)
}

// readReceipt reads and verifies the newest receipt of a device that is
// registered here.
func (c *Coordinator) readReceipt(ctx context.Context, r Row) (*transfer.Signed[transfer.Receipt], []byte, error) {
	entries, err := c.o.Devices.Read(ctx, r.Device, c.resource(objects.TransferReceipt))
	if err != nil {
		return nil, nil, err
	}
	raw, err := c.receiptIn(entries)
	if err != nil {
		return nil, nil, err
	}
	signed, err := c.verifyReceipt(ctx, r, raw)
	return signed, raw, err
}

// verifyReceipt checks both signatures of a receipt: that of the operational key
// with the certificate in our inventory, which must be good.
func (c *Coordinator) verifyReceipt(ctx context.Context, r Row, raw []byte) (
	*transfer.Signed[transfer.Receipt], error,
) {
	factory, err := r.certificate()
	if err != nil {
		return nil, err
	}
	said, err := transfer.ParseReceipt(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	var operational *x509.Certificate
	if named := said.Body.Operational; !named.IsZero() {
		if operational, err = c.operational(ctx, r, est.Hash(named)); err != nil {
			return nil, err
		}
	}
	signed, err := transfer.VerifyReceipt(raw, factory, operational)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	return signed, nil
}

// operational returns an operational certificate of the device that our CA
// issued and that is good now.
func (c *Coordinator) operational(ctx context.Context, r Row, hash est.Hash) (*x509.Certificate, error) {
	record, err := c.o.CA.Lookup(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("%w: operational certificate %x: %w", ErrEvidence, hash[:8], err)
	}
	if record.Kind != est.KindOperational || record.Factory != r.factoryHash() {
		return nil, fmt.Errorf("%w: certificate %x is not the device's", ErrEvidence, hash[:8])
	}
	if err := record.Live(time.Now()); err != nil {
		return nil, fmt.Errorf("%w: operational certificate %x: %w", ErrEvidence, hash[:8], err)
	}
	return record.Certificate()
}

// foreignReceipt checks a receipt that the partner sent: the factory key's
// signature, for the operational certificate is of the partner's CA.
func foreignReceipt(r Row, raw []byte) (*transfer.Signed[transfer.Receipt], error) {
	factory, err := r.certificate()
	if err != nil {
		return nil, err
	}
	signed, err := transfer.VerifyFactoryReceipt(raw, factory)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return signed, nil
}

// kept returns a verified receipt for the Store.
func kept(r Row, signed *transfer.Signed[transfer.Receipt], raw []byte) Receipt {
	return Receipt{
		Transfer: r.Transfer, Short: r.Short, State: signed.Body.State, Hash: signed.Hash,
		Raw: transfer.TagReceipt(raw), At: time.Now(),
	}
}

// stored returns the newest stored receipt of a state for the row's message, or
// ErrUnknown. It was verified when it was stored.
func (c *Coordinator) stored(ctx context.Context, r Row, state transfer.DeviceState) (
	*transfer.Signed[transfer.Receipt], []byte, error,
) {
	all, err := c.o.Store.Receipts(ctx, r.Transfer, r.Short)
	if err != nil {
		return nil, nil, err
	}
	for _, receipt := range slices.Backward(all) {
		if receipt.State != state {
			continue
		}
		signed, err := transfer.ParseReceipt(receipt.Raw)
		if err != nil {
			return nil, nil, err
		}
		if signed.Body.Message == r.Hash {
			return signed, receipt.Raw, nil
		}
	}
	return nil, nil, fmt.Errorf("%s receipt of %s: %w", state, r.Short, ErrUnknown)
}

// compareFinalised checks the receipt that ends a transfer. It follows DONE; where
// DONE was lost, because the provider crashed between reading and storing it and
// the device finalised by itself, READY must vouch for device, message and epoch.
func (c *Coordinator) compareFinalised(ctx context.Context, r Row, done, final *transfer.Signed[transfer.Receipt],
) error {
	docs, err := c.o.Store.Documents(ctx, r.Transfer)
	if err != nil {
		return err
	}
	offer, err := transfer.ParseOffer(docs.Offer)
	if err != nil {
		return err
	}
	permanent, err := c.permanent(ctx, r)
	if err != nil {
		return err
	}
	if done != nil {
		return transfer.CompareFinalised(done, final, &offer.Body, permanent)
	}
	ready, _, err := c.stored(ctx, r, transfer.Ready)
	if err != nil {
		return err
	}
	return finalisedAlone(ready, final, &offer.Body, permanent)
}

func finalisedAlone(ready, final *transfer.Signed[transfer.Receipt], offer *transfer.Offer,
	permanent []transfer.Anchor,
) error {
	destination, err := transfer.ParseDestination(offer.Destination)
	if err != nil {
		return err
	}
	a, b := &ready.Body, &final.Body
	if b.State != transfer.Finalised || a.Factory != b.Factory || a.Message != b.Message || a.Epoch != b.Epoch ||
		a.Destination != b.Destination || a.SPKI != b.SPKI || b.Operational.IsZero() || b.Operational == a.Operational ||
		!transfer.Trusts(b.Truststore, permanent, &destination, offer.Anchors, transfer.Finalised) {
		return fmt.Errorf("%w: FINALISED receipt of %s disagrees with READY", ErrEvidence, a.Subject)
	}
	return nil
}

// permanent returns the anchors that the factory has put into the device: its
// permanent CA, for enrolment and the way back (transfer protocol §1, rule 4), and, as
// transfer.Trusts takes it, the service user whose mandate the transfer goes by.
func (c *Coordinator) permanent(ctx context.Context, r Row) ([]transfer.Anchor, error) {
	leaf, err := r.certificate()
	if err != nil {
		return nil, err
	}
	listed, err := c.o.CA.FactoryCAs(ctx)
	if err != nil {
		return nil, err
	}
	for _, ca := range listed {
		if leaf.CheckSignatureFrom(ca) == nil {
			owner, err := c.owner(ctx, r.Transfer)
			return append([]transfer.Anchor{{
				Certificate: ca.Raw, Purposes: transfer.Enrol | transfer.Fallback, Domain: transfer.Permanent,
			}}, owner...), err
		}
	}
	return nil, fmt.Errorf("%w: no listed CA has issued %s", ErrEvidence, leaf.Subject.CommonName)
}
