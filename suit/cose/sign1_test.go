package cose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"testing"

	"steward/suit/cose"
)

func newP256(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("GenerateKey: %v", err)
	}
	return key
}

func newP384(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		tb.Fatalf("GenerateKey: %v", err)
	}
	return key
}

func newSigner(tb testing.TB, key crypto.Signer, alg cose.Algorithm) *cose.Signer {
	tb.Helper()
	s, err := cose.NewSigner(key, alg, []byte("kid-0001"))
	if err != nil {
		tb.Fatalf("NewSigner: %v", err)
	}
	return s
}

func newVerifier(tb testing.TB, key crypto.PublicKey, algs ...cose.Algorithm) *cose.Verifier {
	tb.Helper()
	v, err := cose.NewVerifier(key, algs...)
	if err != nil {
		tb.Fatalf("NewVerifier: %v", err)
	}
	return v
}

// remote is a key outside the process: it refuses to sign without a hash.
type remote struct{ crypto.Signer }

func TestSign1RoundTrip(t *testing.T) {
	t.Parallel()
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("GenerateKey: %v", err)
	}
	payload, aad := []byte("payload"), []byte("steward/offer/1")
	tests := []struct {
		name             string
		key              crypto.Signer
		alg              cose.Algorithm
		want             cose.Algorithm
		detached, tagged bool
	}{
		{name: "P-256 default", key: newP256(t), want: cose.ESP256},
		{name: "ES256 tagged", key: newP256(t), alg: cose.ES256, want: cose.ES256, tagged: true},
		{name: "ESP256 detached", key: newP256(t), alg: cose.ESP256, want: cose.ESP256, detached: true},
		{name: "key elsewhere", key: remote{newP256(t)}, want: cose.ESP256, detached: true, tagged: true},
		{name: "P-384 default", key: newP384(t), want: cose.ESP384},
		{name: "ES384", key: remote{newP384(t)}, alg: cose.ES384, want: cose.ES384, detached: true},
		{name: "Ed25519 default", key: edKey, want: cose.Ed25519},
		{name: "EdDSA", key: edKey, alg: cose.EdDSA, want: cose.EdDSA, tagged: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			raw, err := cose.SignSign1(newSigner(t, test.key, test.alg), cose.Options{
				Protected: map[int64]any{cose.LabelCWTClaims: map[int64]any{1: "alpha.example"}},
				Payload:   payload, ExternalAAD: aad, Detached: test.detached, Tagged: test.tagged,
			})
			if err != nil {
				t.Fatalf("SignSign1: %v", err)
			}
			m, err := cose.ParseSign1(raw)
			if err != nil {
				t.Fatalf("ParseSign1(%x): %v", raw, err)
			}
			if m.Algorithm() != test.want || string(m.KeyID()) != "kid-0001" || m.Tagged != test.tagged {
				t.Errorf("headers = %v, %q, %v", m.Algorithm(), m.KeyID(), m.Tagged)
			}
			if claims, ok := m.Protected(cose.LabelCWTClaims); !ok || claims[0] != 0xa1 {
				t.Errorf("claims = %x, %v", claims, ok)
			}
			var detached []byte
			if test.detached {
				detached = payload
			}
			got, err := m.Verify(newVerifier(t, test.key.Public()), detached, aad)
			if err != nil || !bytes.Equal(got, payload) {
				t.Errorf("Verify = %q, %v", got, err)
			}
			_, err = m.Verify(newVerifier(t, test.key.Public()), detached, []byte("other"))
			if !errors.Is(err, cose.ErrSignature) {
				t.Errorf("Verify with another external_aad = %v, want %v", err, cose.ErrSignature)
			}
			want := sha256.Sum256(append(bytes.Clone(m.RawProtected()), payload...))
			if sum, err := m.Hash(detached); err != nil || sum != want {
				t.Errorf("Hash = %x, %v, want %x", sum, err, want)
			}
		})
	}
}
