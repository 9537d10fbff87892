package attest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"steward/est/attest"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func digestOf(s string) attest.Digest {
	sum := sha256.Sum256([]byte(s))
	return attest.Digest{Algorithm: -16, Value: sum[:]}
}

var component = []byte{0x81, 0x41, 0x00}

// honest is the evidence of a device to which nothing has been done.
func honest(tb testing.TB) attest.Evidence {
	tb.Helper()
	manifest := digestOf("manifest")
	return attest.Evidence{
		Nonce: make([]byte, attest.NonceLength), Device: sha256.Sum256([]byte("device")), Key: &newKey(tb).PublicKey,
		OEMBoot: true, Debug: attest.DebugDisabled, BootCount: 7,
		Components: []attest.Component{{ID: component, Digest: digestOf("image"), Manifest: &manifest, Sequence: 3}},
		Message:    sha256.Sum256([]byte("message")), Truststore: sha256.Sum256([]byte("truststore")),
	}
}

func expected(tb testing.TB, e *attest.Evidence) attest.Expectation {
	tb.Helper()
	spki, err := attest.SPKI(e.Key)
	if err != nil {
		tb.Fatal(err)
	}
	return attest.Expectation{
		Device: e.Device, Key: spki, Message: e.Message, Truststore: e.Truststore, BootCount: e.BootCount,
		References: []attest.Reference{{Digest: digestOf("image")}}, Components: [][]byte{component},
	}
}

func newVerifier(tb testing.TB) (attest.Signer, *x509.Certificate) {
	tb.Helper()
	key := newKey(tb)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "verifier"}, NotBefore: noon,
		NotAfter: noon.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return attest.Signer{Key: key, Certificate: der}, c
}
