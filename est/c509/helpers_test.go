package c509_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"testing"
)

// uncompress returns a key of P-256.
func uncompress(t *testing.T, raw []byte) *ecdsa.PublicKey {
	t.Helper()
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), raw)
	if x == nil {
		t.Fatalf("no point: %x", raw)
	}
	plain := append([]byte{4}, make([]byte, 64)...)
	x.FillBytes(plain[1:33])
	y.FillBytes(plain[33:])
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), plain)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
