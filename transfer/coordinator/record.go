package coordinator

import (
	"context"
	"errors"
	"slices"
	"time"

	"steward/est"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// Record returns all that is known here of a transfer, signed, for an auditor who
// checks it offline by transfer.CheckRecord. It may be asked for at any time; one of a
// transfer that goes on says so. It returns ErrUnknown, or ErrState for a draft.
func (c *Coordinator) Record(ctx context.Context, id string) ([]byte, error) {
	t, err := c.o.Store.Transfer(ctx, id)
	if err != nil {
		return nil, err
	}
	docs, err := c.o.Store.Documents(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(docs.Info) == 0 || len(docs.Mandate) == 0 {
		return nil, refusedf(ErrState, "transfer is %s: nothing is signed yet", t.State)
	}
	r := transfer.Record{
		Provider: c.o.Name, IssuedAt: transfer.SecondsOf(time.Now()), ID: t.Key(), Incoming: t.Incoming,
		State: string(t.State), Mandate: docs.Mandate, Info: docs.Info, Answer: docs.Answer,
	}
	if !t.Offer.IsZero() { // one that does not stand any more led to nothing
		r.Offer = docs.Offer
	}
	for _, a := range t.Approvals {
		r.Approvals = append(r.Approvals, transfer.RecordApproval{
			By: a.By, At: transfer.SecondsOf(a.At), Reason: a.Reason,
		})
	}
	if r.Extensions, err = c.recordExtensions(ctx, t, docs); err != nil {
		return nil, err
	}
	if r.Revised, err = c.recordRevised(ctx, id); err != nil {
		return nil, err
	}
	if r.Parties, err = c.recordParties(ctx, t); err != nil {
		return nil, err
	}
	if err := c.recordDevices(ctx, &r, id); err != nil {
		return nil, err
	}
	return r.Sign(c.o.Signer)
}

// recordParties returns those whose signatures are in a record: ourselves, the
// partner, and the service user.
func (c *Coordinator) recordParties(ctx context.Context, t Transfer) ([]transfer.RecordSigner, error) {
	partners, err := c.o.Store.ListPartners(ctx)
	if err != nil {
		return nil, err
	}
	partners = append(partners, Partner{
		ID: t.Partner, Name: c.o.Name, Signing: c.o.Signer.Certificate, Verifier: c.o.Verifier,
	})
	var out []transfer.RecordSigner
	for _, p := range partners {
		if p.ID != t.Partner && p.Name != t.MandateIssuer && p.Name != t.Verifier {
			continue
		}
		former := p.Former[max(len(p.Former)-recordFormer, 0):]
		for _, signing := range append([][]byte{p.Signing}, former...) {
			out = append(out, transfer.RecordSigner{Name: p.Name, Certificate: signing})
		}
		if len(p.Verifier) > 0 {
			out = append(out, transfer.RecordSigner{Name: p.Name, Certificate: p.Verifier, Verifier: true})
		}
	}
	return out, nil
}

// recordFormer is how many keys of before a party may have signed with in one transfer.
const recordFormer = 2

// recordPage is how many devices are read at a time.
const recordPage = 500

func (c *Coordinator) recordDevices(ctx context.Context, r *transfer.Record, id string) error {
	after := ""
	for {
		rows, err := c.o.Store.ListRows(ctx, id, after, recordPage)
		if err != nil {
			return err
		}
		for _, row := range rows {
			after = row.Short
			d, err := c.recordDevice(ctx, r, row)
			if err != nil {
				return err
			}
			r.Devices = append(r.Devices, d)
		}
		if len(rows) < recordPage {
			return nil
		}
	}
}

func (c *Coordinator) recordDevice(ctx context.Context, r *transfer.Record, row Row) (
	d transfer.RecordDevice, err error,
) {
	leaf, err := row.certificate()
	if err != nil {
		return d, err
	}
	d = transfer.RecordDevice{
		Endpoint: string(row.Endpoint), Factory: leaf.Raw, State: string(row.State), Inferred: row.Inferred,
		Reason: row.Reason, Message: row.Message, Verdict: row.Verdict, Ready: transfer.SecondsOf(row.ReadyAt),
		Committed: transfer.SecondsOf(row.CommittedAt), Active: transfer.SecondsOf(row.ActiveAt),
	}
	if anchors, err := c.permanent(ctx, row); err == nil { // a rejected device may be of anybody's
		known := func(der []byte) bool { return string(der) == string(anchors[0].Certificate) }
		if !slices.ContainsFunc(r.Permanent, known) {
			r.Permanent = append(r.Permanent, anchors[0].Certificate)
		}
	}
	receipts, err := c.o.Store.Receipts(ctx, row.Transfer, row.Short)
	if err != nil {
		return d, err
	}
	for _, receipt := range receipts {
		if signed, err := transfer.ParseReceipt(receipt.Raw); err != nil || signed.Body.Message != row.Hash {
			continue // of a message that the device dropped for a later one
		}
		d.Receipts = append(d.Receipts, receipt.Raw)
	}
	if err := c.recordOrigin(ctx, row, &d); err != nil {
		return d, err
	}
	d.Certificates, err = c.recordCertificates(ctx, row)
	return d, err
}

// recordCertificates returns what our CA gave the device: under the factory certificate
// of the row, or, where it has another one by now, under that.
func (c *Coordinator) recordCertificates(ctx context.Context, row Row) (out []transfer.RecordCertificate, err error) {
	query := est.Query{Kind: est.KindOperational, Factory: row.factoryHash(), Limit: transfer.MaxRecordCertificates}
	issued, err := c.o.CA.List(ctx, query)
	if err != nil {
		return nil, err
	}
	device, err := c.o.Fleet.Device(ctx, row.Device)
	if err != nil && !errors.Is(err, fleet.ErrUnknown) {
		return nil, err
	}
	if err == nil && len(issued) == 0 && device.Factory != row.Factory {
		query.Factory = est.Hash(device.Factory)
		if issued, err = c.o.CA.List(ctx, query); err != nil {
			return nil, err
		}
	}
	for _, cert := range issued {
		of := transfer.RecordCertificate{DER: cert.DER}
		if cert.Status == est.StatusRevoked {
			of.RevokedAt, of.Reason = transfer.SecondsOf(cert.RevokedAt), string(cert.Reason)
		}
		out = append(out, of)
	}
	return out, nil
}
