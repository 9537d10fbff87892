package demo

import (
	"context"
	"crypto/x509"
	"encoding/hex"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sqlite"
	"steward/est/attest"
	"steward/lwm2m/fleet"
	"steward/transfer/coordinator"
	"steward/web"
)

// attestationOf is what the factory tells of a device's attestation.
func attestationOf(b *bundle.Bundle) (*web.NewAttestation, error) {
	key, err := b.AttestationKey()
	if err != nil || key == nil {
		return nil, err
	}
	out := &web.NewAttestation{}
	if out.Key, err = x509.MarshalPKIXPublicKey(&key.PublicKey); err != nil {
		return nil, err
	}
	ids, err := b.ComponentIDs()
	if err != nil {
		return nil, err
	}
	for i, r := range b.Attestation.References {
		out.References = append(out.References, web.AttestationReference{
			Component: hex.EncodeToString([]byte(ids[i])), SHA256: r.SHA256,
		})
	}
	return out, nil
}

// verdicts counts a device whose verdict stands in the rows of both providers, each
// of which has verified it.
func (x *examiner) verdicts(ctx context.Context, at fleet.Device) error {
	var tiers []attest.Tier
	for _, db := range []*sqlite.DB{x.alpha, x.beta} {
		raw, err := x.verdictIn(ctx, db, at.Factory)
		if err != nil {
			return err
		}
		v, err := attest.ParseVerdict(raw)
		if err != nil {
			return nil //nolint:nilerr // there is none
		}
		tiers = append(tiers, v.Tier)
	}
	count(&x.report.Attested, tiers[0] == attest.TierAffirming && tiers[1] == attest.TierAffirming)
	count(&x.report.Contraindicated, tiers[0] == attest.TierContraindicated && tiers[1] == attest.TierContraindicated)
	return nil
}

func (x *examiner) verdictIn(ctx context.Context, db *sqlite.DB, f fleet.Factory) ([]byte, error) {
	var r coordinator.Row
	r, err := db.Transfers().Row(ctx, x.d.session, f.Short())
	return r.Verdict, err
}
