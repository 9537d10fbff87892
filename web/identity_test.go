package web_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"

	"steward/web"
)

// identityFile wraps a payload as identity files do, without a signature.
func identityFile(tb testing.TB, payload map[string]string) []byte {
	tb.Helper()
	inner, err := json.Marshal(payload)
	if err != nil {
		tb.Fatal(err)
	}
	file, err := json.Marshal(map[string]string{"payload": base64.RawURLEncoding.EncodeToString(inner)})
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

// someCertificate makes a certificate in PEM, and the SHA-256 of its key.
func someCertificate(tb testing.TB) (text, hash string) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), hex.EncodeToString(sum[:])
}

// TestKeysOf hashes the keys that an identity file has, and none that it has not.
func TestKeysOf(t *testing.T) {
	text, hash := someCertificate(t)
	next, nextHash := someCertificate(t)
	got, err := web.KeysOf(identityFile(t, map[string]string{"name": "Alpha", "signing": text, "next_tls": next}))
	if want := (web.IdentityKeys{Name: "Alpha", Signing: hash, NextTLS: nextHash}); err != nil || got != want {
		t.Errorf("KeysOf = %+v, %v, want %+v", got, err, want)
	}
	for name, file := range map[string][]byte{
		"no JSON":        []byte("x"),
		"no base64":      []byte(`{"payload":"§"}`),
		"no document":    []byte(`{"payload":"AAEC"}`),
		"no PEM":         identityFile(t, map[string]string{"signing": "x"}),
		"no certificate": identityFile(t, map[string]string{"signing": "-----BEGIN X-----\nAAEC\n-----END X-----\n"}),
	} {
		if _, err := web.KeysOf(file); !errors.Is(err, web.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, web.ErrInvalid)
		}
	}
}
