package services

import (
	"context"

	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/web"
)

// A mandateKeeper asks for mandates and takes them.
type mandateKeeper interface {
	RequestMandate(ctx context.Context, id string) (transfer.MandateRequest, error)
	GiveMandate(ctx context.Context, id, actor string, raw []byte) (coordinator.Transfer, error)
}

// MandateRequest implements web.Mandates.
func (s *transfers) MandateRequest(ctx context.Context, id string) ([]byte, error) {
	if _, err := s.get(ctx, id); err != nil {
		return nil, err
	}
	r, err := s.Coordinator.RequestMandate(ctx, id)
	if err != nil {
		return nil, translate(err)
	}
	return r.Encode()
}

// Mandate implements web.Mandates.
func (s *transfers) Mandate(ctx context.Context, id string) (web.MandateDetail, error) {
	t, err := s.get(ctx, id)
	if err != nil {
		return web.MandateDetail{}, err
	}
	docs, err := s.Coordinator.Documents(ctx, id)
	if err != nil {
		return web.MandateDetail{}, translate(err)
	}
	if len(docs.Mandate) == 0 {
		return web.MandateDetail{}, notFound("mandate of transfer", id)
	}
	signed, err := transfer.ParseMandate(docs.Mandate) // verified before it was stored
	if err != nil {
		return web.MandateDetail{}, err
	}
	m := &signed.Body
	return web.MandateDetail{
		MandateView: web.MandateView{
			Issuer: m.Issuer, Self: t.Self, From: m.From, To: m.To, Until: m.Expires.Time(), Hash: signed.Hash.String(),
		},
		Words: m.Words(), Devices: len(m.Devices.Factory), Group: m.Devices.Group, Earliest: m.Window.Earliest.Time(),
		Latest: m.Window.Latest.Time(), IssuedAt: m.IssuedAt.Time(), Attest: m.NeedsAttestation(),
		Keep: m.MayKeepApplication(), MaxSequence: m.MaxSequence, COSE: docs.Mandate,
	}, nil
}

// GiveMandate implements web.Mandates.
func (s *transfers) GiveMandate(ctx context.Context, by web.Actor, id string, mandate []byte) (web.Transfer, error) {
	if len(mandate) == 0 || len(mandate) > maxMandate {
		return web.Transfer{}, web.Invalid("mandate", "a signed mandate (COSE_Sign1)")
	}
	if _, err := s.get(ctx, id); err != nil {
		return web.Transfer{}, err
	}
	t, err := s.Coordinator.GiveMandate(ctx, id, by.String(), mandate)
	if err != nil {
		return web.Transfer{}, about("mandate", err)
	}
	return s.show(ctx, t)
}
