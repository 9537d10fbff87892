package demo

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"slices"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sqlite"
	"steward/est/attest"
	"steward/lwm2m/fleet"
	"steward/suit/rollout"
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

// updatedFirst counts a device that reported Beta's image installed, and had nothing
// more to get, before its right opened.
func (x *examiner) updatedFirst(ctx context.Context, f fleet.Factory) error {
	if !x.d.o.UpdateFirst {
		return nil
	}
	r, err := x.beta.Transfers().Row(ctx, x.d.session, f.Short())
	if err != nil {
		return err
	}
	ran, err := x.beta.Rollout().Installed(ctx, r.Device)
	count(&x.report.UpdatedFirst, r.UpToDate && slices.ContainsFunc(ran, func(i rollout.Installed) bool {
		return i.Release == "" && i.Sequence == sequenceOf[versionFirst]
	}))
	return err
}
