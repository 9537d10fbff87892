package scope

import (
	"context"

	"steward/web"
)

type mandates struct{ *bounds }

// MandateRequest implements web.Mandates.
func (s mandates) MandateRequest(ctx context.Context, id string) ([]byte, error) {
	if err := transfers(s).check(ctx, id); err != nil {
		return nil, err
	}
	return s.Mandates.MandateRequest(ctx, id)
}

// Mandate implements web.Mandates.
func (s mandates) Mandate(ctx context.Context, id string) (web.MandateDetail, error) {
	if err := transfers(s).check(ctx, id); err != nil {
		return web.MandateDetail{}, err
	}
	return s.Mandates.Mandate(ctx, id)
}

// GiveMandate implements web.Mandates.
func (s mandates) GiveMandate(ctx context.Context, by web.Actor, id string, raw []byte) (web.Transfer, error) {
	if err := transfers(s).check(ctx, id); err != nil {
		return web.Transfer{}, err
	}
	return s.Mandates.GiveMandate(ctx, by, id, raw)
}
