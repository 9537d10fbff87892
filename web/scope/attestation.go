package scope

import (
	"context"

	"steward/web"
)

type attestationRounds struct{ *bounds }

// ListAttestations implements web.AttestationRounds.
func (s attestationRounds) ListAttestations(
	ctx context.Context, state string, p web.Page,
) (web.List[web.AttestationRound], error) {
	return sift(ctx, p, func(p web.Page) (web.List[web.AttestationRound], error) {
		return s.Rounds.ListAttestations(ctx, state, p)
	}, func(r web.AttestationRound) (bool, error) { return s.sees(ctx, r.Device) })
}

// AttestationRules implements web.AttestationRounds.
func (s attestationRounds) AttestationRules(ctx context.Context) ([]web.AttestationRule, error) {
	if err := signedIn(ctx); err != nil {
		return nil, err
	}
	return s.Rounds.AttestationRules(ctx)
}

// PutAttestationRule implements web.AttestationRounds.
func (s attestationRounds) PutAttestationRule(
	ctx context.Context, by web.Actor, r web.AttestationRule,
) (web.AttestationRule, error) {
	if err := all(ctx); err != nil {
		return web.AttestationRule{}, err
	}
	return s.Rounds.PutAttestationRule(ctx, by, r)
}

// RemoveAttestationRule implements web.AttestationRounds.
func (s attestationRounds) RemoveAttestationRule(ctx context.Context, by web.Actor, tag string) error {
	if err := all(ctx); err != nil {
		return err
	}
	return s.Rounds.RemoveAttestationRule(ctx, by, tag)
}
