package services

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"

	"steward/est/attest"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/web"
)

// attestations implements web.Attestations.
type attestations struct{ *base }

// shownVerdicts is how many verdicts people are shown.
const shownVerdicts = 50

// Attestation implements web.Attestations.
func (s *attestations) Attestation(ctx context.Context, device string) (web.Attestation, error) {
	l, err := s.find(ctx, device)
	if err != nil {
		return web.Attestation{}, err
	}
	out := web.Attestation{Device: string(l.ID)}
	if out.Round, err = s.round(ctx, l); err != nil {
		return out, translate(err)
	}
	if l.Factory == (fleet.Factory{}) {
		return out, nil
	}
	store := s.DB.Attestations()
	known, err := store.Attester(ctx, attest.Hash(l.Factory))
	if errors.Is(err, attest.ErrUnknown) {
		return out, nil
	}
	if err != nil {
		return out, translate(err)
	}
	references, err := s.References(ctx, known)
	if err != nil {
		return out, translate(err)
	}
	results, err := store.Results(ctx, known.Device, shownVerdicts)
	if err != nil {
		return out, translate(err)
	}
	key, err := attest.SPKI(known.Key)
	if err != nil {
		return out, translate(err)
	}
	out.Key, out.KnownAt, out.BootCount = hex.EncodeToString(key[:]), known.At, known.BootCount
	for _, r := range references {
		out.References = append(out.References, web.AttestationReference{
			Component: hex.EncodeToString(r.Component), SHA256: hex.EncodeToString(r.Digest.Value),
		})
	}
	for _, r := range results {
		v := showVerdict(r.Verdict)
		v.Transfer = r.Transfer
		out.Verdicts = append(out.Verdicts, *v)
	}
	return out, nil
}

// showVerdict returns a verdict, which was verified before it was stored; nil for
// none.
func showVerdict(raw []byte) *web.Verdict {
	v, err := attest.ParseVerdict(raw)
	if err != nil {
		return nil
	}
	levels := map[attest.Tier]web.Level{
		attest.TierAffirming: web.LevelGood, attest.TierWarning: web.LevelWarning, attest.TierContraindicated: web.LevelBad,
	}
	level, ok := levels[v.Tier]
	if !ok {
		level = web.LevelNeutral
	}
	return &web.Verdict{
		At: v.IssuedAt, Tier: v.Tier.String(), Level: level, Reason: v.Reason, Issuer: v.Issuer, COSE: raw,
	}
}

// SetAttestation implements web.Attestations.
func (s *attestations) SetAttestation(ctx context.Context, by web.Actor, device string, n web.NewAttestation) (
	web.Attestation, error,
) {
	l, err := s.find(ctx, device)
	if err != nil {
		return web.Attestation{}, err
	}
	if l.Factory == (fleet.Factory{}) {
		return web.Attestation{}, conflict("the device has no factory certificate")
	}
	if err := s.putAttester(ctx, by, l.Factory, n); err != nil {
		return web.Attestation{}, err
	}
	s.considerRound(l)
	return s.Attestation(ctx, device)
}

// Errors of Options.Attest.
var (
	// ErrDeviceRefused reports a device that cannot attest or sign, or whose evidence is of no
	// use.
	ErrDeviceRefused = errors.New("the device does not do it")
	// ErrDeviceSilent reports a device that cannot be asked now.
	ErrDeviceSilent = errors.New("device cannot be asked now")
)

// Attest implements web.Attestations.
func (s *attestations) Attest(ctx context.Context, by web.Actor, device string) (web.Attestation, error) {
	l, err := s.find(ctx, device)
	if err != nil {
		return web.Attestation{}, err
	}
	if s.Options.Attest == nil {
		return web.Attestation{}, web.ErrNotBuilt
	}
	err = s.Options.Attest(ctx, l.ID, l.Factory)
	switch {
	case errors.Is(err, attest.ErrUnknown):
		return web.Attestation{}, conflict("no attestation key of this device is known")
	case errors.Is(err, ErrDeviceRefused):
		return web.Attestation{}, conflict(err.Error())
	case errors.Is(err, ErrDeviceSilent):
		return web.Attestation{}, &web.Error{Is: web.ErrUnavailable, Detail: err.Error(), Cause: err}
	case err != nil:
		return web.Attestation{}, translate(err)
	}
	err = s.DB.Audit(ctx, audit.Row{
		Actor: by.String(), Action: "attestation.ask", Subject: string(l.ID), Reason: "asked to prove what it runs",
	})
	if err != nil {
		return web.Attestation{}, translate(err)
	}
	return s.Attestation(ctx, device)
}

// putAttester checks and stores what an operator says of a device.
func (b *base) putAttester(ctx context.Context, by web.Actor, f fleet.Factory, n web.NewAttestation) error {
	a, err := attesterOf(f, n)
	if err != nil {
		return err
	}
	a.At = b.Now()
	key, err := attest.SPKI(a.Key)
	if err != nil {
		return translate(err)
	}
	return translate(b.DB.Attestations().PutAttester(ctx, a, audit.Row{
		Actor: by.String(), Action: "attestation.key", Subject: f.Short(), After: hex.EncodeToString(key[:]),
	}))
}

// attesterOf reads what an operator says of a device.
func attesterOf(f fleet.Factory, n web.NewAttestation) (attest.Attester, error) {
	der := n.Key
	if block, rest := pem.Decode(n.Key); block != nil && block.Type == "PUBLIC KEY" && len(rest) == 0 {
		der = block.Bytes
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	key, ok := parsed.(*ecdsa.PublicKey)
	if err != nil || !ok {
		return attest.Attester{}, web.Invalid("attestation.key", "a public key on P-256, PEM or DER")
	}
	if _, err := attest.EncodeKey(key); err != nil {
		return attest.Attester{}, web.Invalid("attestation.key", "not on P-256")
	}
	if len(n.References) == 0 || len(n.References) > attest.MaxReferences {
		return attest.Attester{}, web.Invalid("attestation.references", "1 to 64 digests")
	}
	a := attest.Attester{Device: attest.Hash(f), Key: key}
	for _, r := range n.References {
		component, err1 := hex.DecodeString(r.Component)
		digest, err2 := hex.DecodeString(r.SHA256)
		if err1 != nil || err2 != nil || len(digest) != len(attest.Hash{}) {
			return attest.Attester{}, web.Invalid("attestation.references", "a component and a SHA-256 in hexadecimal")
		}
		if len(component) == 0 {
			component = nil
		}
		a.References = append(a.References, attest.Reference{
			Component: component, Digest: attest.Digest{Algorithm: transfer.SHA256, Value: digest},
		})
	}
	return a, nil
}
