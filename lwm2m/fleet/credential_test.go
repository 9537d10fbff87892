package fleet_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"testing"

	"steward/lwm2m/fleet"
)

func spki(t *testing.T, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func onCurve(t *testing.T, c elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return spki(t, key.Public())
}

func TestCheckRawKey(t *testing.T) {
	own, err := fleet.NewRawKey()
	if err != nil {
		t.Fatal(err)
	}
	own.Use = fleet.UseServer
	if err := own.Check(); err != nil {
		t.Fatal(err)
	}
	other, err := fleet.NewRawKey()
	if err != nil {
		t.Fatal(err)
	}
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	off := onCurve(t, elliptic.P256())
	off[len(off)-1] ^= 1 // of the point (RFC 8422 §5.11: an invalid curve)
	loose := onCurve(t, elliptic.P256())
	for name, c := range map[string]struct {
		public []byte
		good   bool
	}{
		"P-256": {onCurve(t, elliptic.P256()), true}, "P-384": {onCurve(t, elliptic.P384()), true},
		"Ed25519": {spki(t, edwards), true}, "P-521": {onCurve(t, elliptic.P521()), false},
		"RSA": {spki(t, long.Public()), false}, "none": {nil, false}, "not on the curve": {off, false},
		"a byte too many": {append(loose, 0), false}, "a byte too few": {loose[:len(loose)-1], false},
		"too long": {make([]byte, 257), false},
	} {
		x := fleet.Credential{
			Use: fleet.UseServer, Kind: fleet.KindRawKey, Public: c.public, Identity: fleet.KeyIdentity(c.public),
		}
		if err := x.Check(); (err == nil) != c.good || err != nil && !errors.Is(err, fleet.ErrCredential) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*fleet.Credential){
		"another identity":    func(c *fleet.Credential) { c.Identity = other.Identity },
		"another private key": func(c *fleet.Credential) { c.Secret = other.Secret },
		"no private key":      func(c *fleet.Credential) { c.Secret = []byte("0123456789abcdef") },
		"no kind":             func(c *fleet.Credential) { c.Kind = "" },
		"no use":              func(c *fleet.Credential) { c.Use = "" },
		"a pre-shared key with a public key": func(c *fleet.Credential) {
			c.Kind, c.Identity, c.Secret = fleet.KindPSK, "x", c.Secret[:16]
		},
	} {
		x := own
		change(&x)
		if err := x.Check(); !errors.Is(err, fleet.ErrCredential) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
