package webtest

import (
	"context"

	"steward/web"
)

func (f *Fake) round() web.AttestationRound {
	return web.AttestationRound{
		Device: ID, Endpoint: f.Text, State: "bad", Since: Noon, Tier: "contraindicated", Reason: f.Text, JudgedAt: Noon,
		Seconds: 86400, NextAt: Noon, Tries: 2, Failure: f.Text,
	}
}

// ListAttestations implements web.AttestationRounds.
func (f *Fake) ListAttestations(_ context.Context, _ string, p web.Page) (web.List[web.AttestationRound], error) {
	return list(f, p, f.round())
}

// AttestationRules implements web.AttestationRounds.
func (f *Fake) AttestationRules(context.Context) ([]web.AttestationRule, error) {
	if f.Empty {
		return nil, nil
	}
	return []web.AttestationRule{{Tag: web.OtherTags, Seconds: 86400}, {Tag: "lamp", Seconds: 0}}, nil
}

// PutAttestationRule implements web.AttestationRounds.
func (f *Fake) PutAttestationRule(
	_ context.Context, by web.Actor, r web.AttestationRule,
) (web.AttestationRule, error) {
	return r, f.note("PutAttestationRule", by, "", r)
}

// RemoveAttestationRule implements web.AttestationRounds.
func (f *Fake) RemoveAttestationRule(_ context.Context, by web.Actor, tag string) error {
	return f.note("RemoveAttestationRule", by, tag, nil)
}
