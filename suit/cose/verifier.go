package cose

import (
	"crypto"
	"fmt"
	"slices"

	gocose "github.com/veraison/go-cose"
)

// A Verifier checks the signatures of one public key, made with one of the
// algorithms that its owner allows. It is immutable.
type Verifier struct {
	key     crypto.PublicKey
	allowed []Algorithm
	base    gocose.Verifier
}

// NewVerifier returns a Verifier for key, a *ecdsa.PublicKey on P-256 or P-384 or
// an ed25519.PublicKey. Only the algorithms named are accepted; none named means
// all that the key serves (ESP256 and ES256, or Ed25519 and EdDSA). It returns
// ErrAlgorithm, or ErrKey if the key does not serve one of them.
func NewVerifier(key crypto.PublicKey, algs ...Algorithm) (*Verifier, error) {
	served, err := algorithmsOf(key)
	if err != nil {
		return nil, err
	}
	for _, alg := range algs {
		if _, err := choose(key, alg); err != nil {
			return nil, err
		}
	}
	if len(algs) == 0 {
		algs = served
	}
	base, err := gocose.NewVerifier(served[0].base(), key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return &Verifier{key: key, allowed: slices.Clone(algs), base: base}, nil
}

// Public returns the public key.
func (v *Verifier) Public() crypto.PublicKey { return v.key }

// Allows reports whether v accepts signatures made with alg.
func (v *Verifier) Allows(alg Algorithm) bool { return slices.Contains(v.allowed, alg) }

// check returns ErrKey unless v accepts alg.
func (v *Verifier) check(alg Algorithm) error {
	if !v.Allows(alg) {
		return fmt.Errorf("%w: %v", ErrKey, alg)
	}
	return nil
}

// coseVerifier gives go-cose the verifier under the name found on the wire.
type coseVerifier struct {
	*Verifier
	alg Algorithm
}

// Algorithm implements gocose.Verifier.
func (v coseVerifier) Algorithm() gocose.Algorithm { return gocose.Algorithm(v.alg) }

// Verify implements gocose.Verifier.
func (v coseVerifier) Verify(content, signature []byte) error {
	return v.base.Verify(content, signature)
}
