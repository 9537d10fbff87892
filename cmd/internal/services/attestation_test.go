package services_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/services"
	"steward/est/attest"
	"steward/est/esttest"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/web"
)

func attestationKey(t *testing.T, curve elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestAttestation(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	ctx := t.Context()
	device := esttest.NewDevice(t, w.factory, "urn:dev:1")
	der := attestationKey(t, elliptic.P256())
	good := web.NewAttestation{
		Key:        pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		References: []web.AttestationReference{{Component: "8141", SHA256: strings.Repeat("0a", 32)}},
	}
	made, err := w.Factories.ImportDevice(ctx, alice, web.NewDevice{Certificate: device.DER, Attestation: &good})
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Attestations.Attestation(ctx, made.ID)
	if err != nil || got.Key == "" || len(got.References) != 1 || got.References[0] != good.References[0] {
		t.Errorf("Attestation = %+v, %v", got, err)
	}
	w.audited(t, "attestation.key")
	good.Key, good.References[0].Component = attestationKey(t, elliptic.P256()), ""
	if again, err := w.Attestations.SetAttestation(ctx, alice, made.ID, good); err != nil || again.Key == got.Key {
		t.Errorf("SetAttestation = %+v, %v", again, err)
	}

	result := attest.Result{
		Device: attest.Hash(device.Factory), At: time.Now(), Verdict: signedVerdict(t, device), Transfer: "ab",
	}
	if err := w.db.Attestations().AddResult(ctx, result, audit.Row{Actor: "a", Action: "b", Subject: "c"}); err != nil {
		t.Fatal(err)
	}
	got, err = w.Attestations.Attestation(ctx, made.ID)
	if err != nil || len(got.Verdicts) != 1 || got.Verdicts[0].Tier != "contraindicated" ||
		got.Verdicts[0].Level != web.LevelBad || got.Verdicts[0].Transfer != "ab" || got.Verdicts[0].Reason != "altered" {
		t.Errorf("Attestation = %+v, %v", got, err)
	}
}

// signedVerdict speaks against a device.
func signedVerdict(t *testing.T, d esttest.Device) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := attest.Verdict{
		Issuer: "Beta", IssuedAt: time.Now(), Expires: time.Now().Add(time.Hour), Nonce: make([]byte, 32),
		Device: attest.Hash(d.Factory), Tier: attest.TierContraindicated, Reason: "altered", Key: attest.Hash{1},
		Vector: attest.Vector{Executables: attest.ClaimContraindicated},
	}.Sign(attest.Signer{Key: key, Certificate: []byte("c")})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestAttestationRefusesBadInput(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	ctx := t.Context()
	device := esttest.NewDevice(t, w.factory, "urn:dev:1")
	made, err := w.Factories.ImportDevice(ctx, alice, web.NewDevice{Certificate: device.DER})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := w.Attestations.Attestation(ctx, made.ID); err != nil || got.Key != "" {
		t.Errorf("without a key: %+v, %v", got, err)
	}
	reference := []web.AttestationReference{{SHA256: strings.Repeat("0a", 32)}}
	key := attestationKey(t, elliptic.P256())
	for name, bad := range map[string]web.NewAttestation{
		"no key":         {References: reference},
		"key on P-384":   {Key: attestationKey(t, elliptic.P384()), References: reference},
		"no digest":      {Key: key},
		"short digest":   {Key: key, References: []web.AttestationReference{{SHA256: "0a"}}},
		"no hexadecimal": {Key: key, References: []web.AttestationReference{{SHA256: strings.Repeat("xx", 32)}}},
		"strange component": {
			Key: key, References: []web.AttestationReference{{Component: "x", SHA256: strings.Repeat("0a", 32)}},
		},
		"65 digests": {Key: key, References: make([]web.AttestationReference, 65)},
	} {
		_, err := w.Attestations.SetAttestation(ctx, alice, made.ID, bad)
		wantError(t, name, err, web.ErrInvalid)
		_, err = w.Factories.ImportDevice(ctx, alice, web.NewDevice{Certificate: device.DER, Attestation: &bad})
		wantError(t, name+", imported", err, web.ErrInvalid)
	}
	good := web.NewAttestation{Key: key, References: reference}
	_, err = w.Factories.ImportDevice(ctx, alice, web.NewDevice{Endpoint: "e", Attestation: &good})
	wantError(t, "without a factory certificate", err, web.ErrInvalid)
	foreign := w.add(t, fleet.Device{Endpoint: "foreign", Ownership: fleet.Owned})
	_, err = w.Attestations.SetAttestation(ctx, alice, string(foreign.ID), good)
	wantError(t, "of a foreign device", err, web.ErrConflict)
	_, err = w.Attestations.SetAttestation(ctx, alice, "nobody", good)
	wantError(t, "of nobody", err, web.ErrNotFound)
}

// TestAttestNow asks a device, which may answer or not.
func TestAttestNow(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	device := esttest.NewDevice(t, w.factory, "urn:dev:1")
	made, err := w.Factories.ImportDevice(t.Context(), alice, web.NewDevice{Certificate: device.DER})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Attestations.Attest(t.Context(), alice, made.ID)
	wantError(t, "without a verifier", err, web.ErrNotBuilt)
	var answer error
	o := w.options
	o.Attest = func(context.Context, fleet.ID, fleet.Factory) error { return answer }
	w.build(t, o)
	for _, c := range []struct{ err, want error }{
		{attest.ErrUnknown, web.ErrConflict},
		{services.ErrDeviceRefused, web.ErrConflict},
		{services.ErrDeviceSilent, web.ErrUnavailable},
	} {
		answer = fmt.Errorf("somewhere: %w", c.err)
		_, err = w.Attestations.Attest(t.Context(), alice, made.ID)
		wantError(t, c.err.Error(), err, c.want)
	}
	answer = nil
	if _, err = w.Attestations.Attest(t.Context(), alice, made.ID); err != nil {
		t.Errorf("Attest = %v", err)
	}
	if row := w.audited(t, "attestation.ask"); row.Actor != "operator:alice" {
		t.Errorf("audit row = %+v", row.Row)
	}
	_, err = w.Attestations.Attest(t.Context(), alice, "nobody")
	wantError(t, "nobody", err, web.ErrNotFound)
}

// stored are the references as they were told.
func stored(_ context.Context, a attest.Attester) ([]attest.Reference, error) {
	return a.References, nil
}
