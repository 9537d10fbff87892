package webtest

import (
	"context"

	"steward/web"
)

func (f *Fake) verdict() *web.Verdict {
	return &web.Verdict{
		At: Noon, Tier: "contraindicated", Level: web.LevelBad, Reason: f.Text, Issuer: f.Text, Transfer: "t1",
		COSE: []byte{1},
	}
}

// Attestation implements web.Attestations.
func (f *Fake) Attestation(_ context.Context, device string) (web.Attestation, error) {
	if err := f.known(device); err != nil || f.Empty {
		return web.Attestation{Device: device}, err
	}
	return web.Attestation{
		Device: device, Key: "00ff", KnownAt: Noon, BootCount: 7,
		References: []web.AttestationReference{{Component: "00", SHA256: "00ff"}}, Verdicts: []web.Verdict{*f.verdict()},
	}, nil
}

// Attest implements web.Attestations.
func (f *Fake) Attest(ctx context.Context, by web.Actor, device string) (web.Attestation, error) {
	if err := f.note("Attest", by, device, nil); err != nil {
		return web.Attestation{}, err
	}
	return f.Attestation(ctx, device)
}

// SetAttestation implements web.Attestations.
func (f *Fake) SetAttestation(ctx context.Context, by web.Actor, device string, n web.NewAttestation) (
	web.Attestation, error,
) {
	if err := f.note("SetAttestation", by, device, n); err != nil {
		return web.Attestation{}, err
	}
	return f.Attestation(ctx, device)
}
