package cose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"fmt"
	"slices"

	gocose "github.com/veraison/go-cose"
)

// An Algorithm is an algorithm of a message or of a key (IANA "COSE
// Algorithms").
type Algorithm int64

// The signature algorithms that this package implements. Each is bound to one
// kind of key: ES256 is used with P-256 only, ES384 with P-384, EdDSA with
// Ed25519.
const (
	ES256   Algorithm = -7  // RFC 9053 §2.1, as the examples of the SUIT manifest use it
	EdDSA   Algorithm = -8  // RFC 9053 §2.2
	ESP256  Algorithm = -9  // RFC 9864 §2.1, required by the SUIT profiles
	Ed25519 Algorithm = -19 // RFC 9864 §2.2
	ES384   Algorithm = -35 // RFC 9053 §2.1
	ESP384  Algorithm = -51 // RFC 9864 §2.1
)

// HMAC256 is the only algorithm of message authentication codes: HMAC 256/256,
// whose tag is never cut (RFC 9053 §3.1).
const HMAC256 Algorithm = 5

// The algorithms by which keys are encrypted to recipients.
const (
	Direct       Algorithm = -6  // RFC 9053 §6.1.1: the key is shared, none is encrypted
	A128KW       Algorithm = -3  // RFC 9053 §6.2.1
	A256KW       Algorithm = -5  // RFC 9053 §6.2.1
	ECDHESA128KW Algorithm = -29 // ECDH-ES + A128KW, RFC 9053 §6.4, on P-256
)

// The algorithms by which content is encrypted. Those of AES-CTR (RFC 9459) do
// not authenticate: whoever uses them must compare a digest of the plaintext.
const (
	A128GCM          Algorithm = 1  // RFC 9053 §4.1
	A256GCM          Algorithm = 3  // RFC 9053 §4.1
	ChaCha20Poly1305 Algorithm = 24 // RFC 9053 §4.3
	A128CTR          Algorithm = -65534
	A256CTR          Algorithm = -65532
)

// names are the registered names. It is never changed.
var names = map[Algorithm]string{
	ES256: "ES256", EdDSA: "EdDSA", ESP256: "ESP256", Ed25519: "Ed25519", ES384: "ES384", ESP384: "ESP384",
	HMAC256: "HMAC 256/256", Direct: "direct", A128KW: "A128KW", A256KW: "A256KW", ECDHESA128KW: "ECDH-ES+A128KW",
	A128GCM: "A128GCM", A256GCM: "A256GCM", ChaCha20Poly1305: "ChaCha20/Poly1305",
	A128CTR: "A128CTR", A256CTR: "A256CTR",
}

// String returns the registered name.
func (a Algorithm) String() string {
	if name, ok := names[a]; ok {
		return name
	}
	return fmt.Sprintf("algorithm %d", int64(a))
}

// Supported reports whether this package makes and verifies signatures with a.
func (a Algorithm) Supported() bool {
	return slices.Contains([]Algorithm{ES256, EdDSA, ESP256, Ed25519, ES384, ESP384}, a)
}

// base returns the algorithm of go-cose that computes the same signatures.
func (a Algorithm) base() gocose.Algorithm {
	switch a {
	case EdDSA, Ed25519:
		return gocose.AlgorithmEdDSA
	case ES384, ESP384:
		return gocose.AlgorithmES384
	default:
		return gocose.AlgorithmES256
	}
}

// hash returns the hash function whose value is signed; zero signs the content.
func (a Algorithm) hash() crypto.Hash {
	switch a.base() {
	case gocose.AlgorithmEdDSA:
		return 0
	case gocose.AlgorithmES384:
		return crypto.SHA384
	default:
		return crypto.SHA256
	}
}

// algorithmsOf returns the algorithms that key serves, the best one first.
// It returns ErrKey if there is none.
func algorithmsOf(key crypto.PublicKey) ([]Algorithm, error) {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		switch {
		case k == nil:
		case k.Curve == elliptic.P256():
			return []Algorithm{ESP256, ES256}, nil
		case k.Curve == elliptic.P384():
			return []Algorithm{ESP384, ES384}, nil
		}
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return []Algorithm{Ed25519, EdDSA}, nil
		}
	}
	return nil, fmt.Errorf("%w: %T", ErrKey, key)
}
