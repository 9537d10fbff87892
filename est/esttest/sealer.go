package esttest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"testing"

	"steward/est"
)

// A sealer encrypts with a key of its own.
type sealer struct{ aead cipher.AEAD }

// NewSealer returns a Sealer with a fresh key.
func NewSealer(tb testing.TB) est.Sealer {
	tb.Helper()
	key := make([]byte, 32) //nolint:mnd // AES-256
	_, _ = rand.Read(key)   // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		tb.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		tb.Fatal(err)
	}
	return sealer{aead}
}

// Seal implements est.Sealer.
func (s sealer) Seal(secret []byte, purpose string) []byte {
	return s.aead.Seal(nil, nil, secret, []byte(purpose)) //nolint:gosec // G407: it chooses its nonce itself
}

// Open implements est.Sealer.
func (s sealer) Open(sealed []byte, purpose string) ([]byte, error) {
	return s.aead.Open(nil, nil, sealed, []byte(purpose))
}
