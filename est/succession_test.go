package est_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"testing"

	"steward/est"
	"steward/est/esttest"
)

// TestFollowFactoryKeepsTheProof: what the key before has signed is kept with both
// certificates, for others to check; a wrong one moves nothing.
func TestFollowFactoryKeepsTheProof(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.enrolled(t)
	old, fresh := w.device, w.successor(t)
	prove := func(key, by *ecdsa.PrivateKey, certificate []byte) []byte {
		proof, err := est.RekeyProof(rekeyCSR(t, key, by, certificate))
		if err != nil {
			t.Fatal(err)
		}
		return proof
	}
	good := prove(fresh.Key, old.Key, old.DER)
	other := esttest.NewDevice(t, w.factory, "urn:dev:other")
	bent := bytes.Clone(good)
	bent[len(bent)-1] ^= 1
	for name, tt := range map[string]struct {
		proof []byte
		want  error
	}{
		"no message":                    {[]byte("proof"), est.ErrCSR},
		"too long":                      {make([]byte, 6000), est.ErrCSR},
		"a bit changed":                 {bent, est.ErrCSR},
		"by the new key itself":         {prove(fresh.Key, fresh.Key, old.DER), est.ErrCSR},
		"by another device's key":       {prove(fresh.Key, other.Key, old.DER), est.ErrCSR},
		"for another key":               {prove(other.Key, old.Key, old.DER), est.ErrCSR},
		"of another device, to its own": {prove(fresh.Key, other.Key, other.DER), est.ErrCSR},
		"of another device's name":      {prove(fresh.Key, old.Key, other.DER), est.ErrCSR},
	} {
		_, moved, err := w.ca.FollowFactory(ctx, old.Factory, fresh.DER, tt.proof)
		if !errors.Is(err, est.ErrFactory) || !errors.Is(err, tt.want) || moved {
			t.Errorf("%s: FollowFactory = %v, %v, want %v", name, moved, err, tt.want)
		}
	}
	if _, err := w.ca.Succession(ctx, fresh.Factory); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("succession before = %v, want ErrUnknown", err)
	}
	if _, moved, err := w.ca.FollowFactory(ctx, old.Factory, fresh.DER, good); err != nil || !moved {
		t.Fatalf("FollowFactory = %v, %v", moved, err)
	}
	by, err := w.ca.Succession(ctx, fresh.Factory)
	if err != nil || !bytes.Equal(by.Old, old.DER) || !bytes.Equal(by.New, fresh.DER) || !bytes.Equal(by.Proof, good) {
		t.Errorf("succession = %+v, %v", by, err)
	}
	parse := func(der []byte) *x509.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if err := est.CheckRekeyProof(by.Proof, parse(old.DER), parse(fresh.DER)); err != nil {
		t.Errorf("CheckRekeyProof = %v", err)
	}
	if err := est.CheckRekeyProof(by.Proof, parse(old.DER), parse(other.DER)); !errors.Is(err, est.ErrName) {
		t.Errorf("CheckRekeyProof of another device's = %v, want ErrName", err)
	}
	if err := est.CheckRekeyProof(by.Proof, parse(fresh.DER), parse(fresh.DER)); !errors.Is(err, est.ErrCSR) {
		t.Errorf("CheckRekeyProof from the new one itself = %v, want ErrCSR", err)
	}
}
