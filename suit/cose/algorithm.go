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

// An Algorithm is a signature algorithm (IANA "COSE Algorithms").
type Algorithm int64

// The algorithms that this package implements. Each is bound to one kind of
// key: ES256 is used with P-256 only, EdDSA with Ed25519 only.
const (
	ES256   Algorithm = -7  // RFC 9053 §2.1, as the examples of the SUIT manifest use it
	EdDSA   Algorithm = -8  // RFC 9053 §2.2
	ESP256  Algorithm = -9  // RFC 9864 §2.1, required by the SUIT profiles
	Ed25519 Algorithm = -19 // RFC 9864 §2.2
)

// String returns the registered name.
func (a Algorithm) String() string {
	switch a {
	case ES256:
		return "ES256"
	case EdDSA:
		return "EdDSA"
	case ESP256:
		return "ESP256"
	case Ed25519:
		return "Ed25519"
	}
	return fmt.Sprintf("algorithm %d", int64(a))
}

// Supported reports whether this package implements a.
func (a Algorithm) Supported() bool {
	return slices.Contains([]Algorithm{ES256, EdDSA, ESP256, Ed25519}, a)
}

// base returns the algorithm of go-cose that computes the same signatures.
func (a Algorithm) base() gocose.Algorithm {
	if a == EdDSA || a == Ed25519 {
		return gocose.AlgorithmEdDSA
	}
	return gocose.AlgorithmES256
}

// algorithmsOf returns the algorithms that key serves, the best one first.
// It returns ErrKey if there is none.
func algorithmsOf(key crypto.PublicKey) ([]Algorithm, error) {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k != nil && k.Curve == elliptic.P256() {
			return []Algorithm{ESP256, ES256}, nil
		}
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return []Algorithm{Ed25519, EdDSA}, nil
		}
	}
	return nil, fmt.Errorf("%w: %T", ErrKey, key)
}
