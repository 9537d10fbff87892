package coordinator

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"steward/est"
	"steward/lwm2m/audit"
	"steward/transfer"
)

// RequestMandate returns what a draft needs a mandate for, for the service user to sign.
// It returns ErrUnknown, or ErrState for what is no outgoing draft.
func (c *Coordinator) RequestMandate(ctx context.Context, id string) (transfer.MandateRequest, error) {
	t, err := c.o.Store.Transfer(ctx, id)
	if err != nil {
		return transfer.MandateRequest{}, err
	}
	if t.Incoming || t.State != transfer.BatchDraft {
		return transfer.MandateRequest{}, refusedf(ErrState, "transfer is %s, no draft", t.State)
	}
	r := transfer.MandateRequest{
		Transfer: t.ID, From: c.o.Name, To: t.PartnerName, Earliest: t.Window.Earliest.Time(),
		Latest: t.Window.Latest.Time(), Attestation: t.Attest, Note: t.Note,
	}
	err = c.eachRow(ctx, id, func(row Row) error {
		r.Devices = append(r.Devices, transfer.MandateRequestDevice{
			Endpoint: string(row.Endpoint), Factory: transfer.Hash(row.Factory).String(),
		})
		return nil
	})
	return r, err
}

// GiveMandate gives a draft the mandate of a service user, in place of one that it has.
// The draft's window must lie in the mandate's, which must name every device. It returns
// ErrUnknown, ErrState or ErrInvalid.
func (c *Coordinator) GiveMandate(ctx context.Context, id, actor string, raw []byte) (Transfer, error) {
	return c.command(ctx, id, actor, func(t *Transfer, ch *Change) error {
		if t.Incoming || t.State != transfer.BatchDraft {
			return refusedf(ErrState, "transfer is %s, no draft", t.State)
		}
		m, err := c.takeMandate(ctx, t, raw, time.Now())
		if err != nil {
			return err
		}
		var rows []Row
		if err := c.eachRow(ctx, id, func(r Row) error { rows = append(rows, r); return nil }); err != nil {
			return err
		}
		if err := c.mandated(ctx, m, rows); err != nil {
			return err
		}
		ch.Documents.Mandate = raw
		ch.Audit = append(ch.Audit, audit.Row{
			Actor: actor, Action: "transfer.mandate", Subject: t.ID, After: t.Mandate.String(),
			Reason: "of " + m.Body.Issuer,
		})
		return nil
	})
}

// takeMandate holds a mandate against a draft, which is under it from then on.
func (c *Coordinator) takeMandate(ctx context.Context, t *Transfer, raw []byte, now time.Time) (
	*transfer.Signed[transfer.Mandate], error,
) {
	m, self, err := c.verifyMandate(ctx, raw, ourselves(c))
	if err != nil {
		return nil, err
	}
	if !m.Body.Orders(c.o.Name, t.PartnerName, t.Window) || !m.Body.InForce(now) {
		return nil, refusedf(ErrInvalid, "the mandate is from %.80q to %.80q, or its time is another",
			m.Body.From, m.Body.To)
	}
	if t.Attest && !m.Body.NeedsAttestation() {
		return nil, refusedf(ErrInvalid, "the mandate does not demand attestation")
	}
	t.adopt(m, self)
	return m, nil
}

// mandated refuses devices that a mandate does not name.
func (c *Coordinator) mandated(ctx context.Context, m *transfer.Signed[transfer.Mandate], rows []Row) error {
	for _, r := range rows {
		named, err := c.names(ctx, &m.Body, r)
		if err != nil {
			return fmt.Errorf("device %s: %w", r.Endpoint, err)
		}
		if !named {
			return refusedf(ErrInvalid, "the mandate does not name device %s", r.Endpoint)
		}
	}
	return nil
}

// stillMandated asks again of a mandate that was taken when the draft was made: groups
// change.
func (c *Coordinator) stillMandated(ctx context.Context, raw []byte, rows []Row) error {
	m, err := transfer.ParseMandate(raw)
	if err != nil {
		return err
	}
	return c.mandated(ctx, m, rows)
}

// names reports whether a mandate speaks of a device. Who is in a group by name, our own
// groups say, and of devices that come to us the partner alone.
func (c *Coordinator) names(ctx context.Context, m *transfer.Mandate, r Row) (bool, error) {
	if group := m.Devices.GroupName(); group != "" {
		if r.Incoming {
			return true, nil
		}
		return c.o.Member(ctx, group, r.Device)
	}
	right, err := c.o.CA.Right(ctx, est.Hash(r.Factory))
	if err != nil {
		return false, err
	}
	leaf, err := x509.ParseCertificate(right.FactoryDER)
	if err != nil {
		return false, err
	}
	return m.Names(transfer.Hash(r.Factory), leaf.Subject.CommonName), nil
}

// owner returns what the service user who signed a transfer's mandate is to devices that
// know it; nothing where the outgoing provider signed it itself.
func (c *Coordinator) owner(ctx context.Context, id string) ([]transfer.Anchor, error) {
	docs, err := c.o.Store.Documents(ctx, id)
	if err != nil || len(docs.Mandate) == 0 {
		return nil, err
	}
	signed, err := transfer.ParseMandate(docs.Mandate)
	if err != nil {
		return nil, err
	}
	partners, err := c.o.Store.ListPartners(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range partners {
		if signing := p.signedOnce(signed.Signer); p.Kind == ServiceUser && signing != nil {
			return []transfer.Anchor{{
				Certificate: signing, Purposes: transfer.MandateSigner, Domain: transfer.Permanent,
			}}, nil
		}
	}
	return nil, nil
}
