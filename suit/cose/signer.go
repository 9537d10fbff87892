package cose

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"fmt"
	"io"
	"slices"

	gocose "github.com/veraison/go-cose"
)

// A Signer makes the signatures of one key with one algorithm. The private key
// may live elsewhere (a KMS, an HSM): only crypto.Signer is asked of it.
type Signer struct {
	alg  Algorithm
	kid  []byte
	base gocose.Signer
	pub  crypto.PublicKey
}

// NewSigner returns a Signer for key. An alg of zero chooses the fully
// specified algorithm of the key: ESP256, ESP384 or Ed25519. kid goes into the
// protected header; none is sent if it is empty. It returns ErrAlgorithm, or
// ErrKey if the key does not serve alg.
func NewSigner(key crypto.Signer, alg Algorithm, kid []byte) (*Signer, error) {
	if key == nil {
		return nil, fmt.Errorf("%w: no key", ErrKey)
	}
	alg, err := choose(key.Public(), alg)
	if err != nil {
		return nil, err
	}
	base, err := gocose.NewSigner(alg.base(), hashing{Signer: key, alg: alg})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return &Signer{alg: alg, kid: bytes.Clone(kid), base: base, pub: key.Public()}, nil
}

// Algorithm returns the algorithm of the signatures.
func (s *Signer) Algorithm() Algorithm { return s.alg }

// KeyID returns the key identifier sent with each signature, nil for none.
func (s *Signer) KeyID() []byte { return bytes.Clone(s.kid) }

// Public returns the public key.
func (s *Signer) Public() crypto.PublicKey { return s.pub }

// choose checks alg against key; zero becomes the best algorithm of the key.
func choose(key crypto.PublicKey, alg Algorithm) (Algorithm, error) {
	served, err := algorithmsOf(key)
	switch {
	case err != nil:
		return 0, err
	case alg == 0:
		return served[0], nil
	case !alg.Supported():
		return 0, fmt.Errorf("%w: %v", ErrAlgorithm, alg)
	case !slices.Contains(served, alg):
		return 0, fmt.Errorf("%w: %v with %T", ErrKey, alg, key)
	}
	return alg, nil
}

// hashing tells the key which hash it signs: go-cose says nil, which keys
// outside the process refuse.
type hashing struct {
	crypto.Signer
	alg Algorithm
}

// Sign implements crypto.Signer.
func (h hashing) Sign(random io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	if random == nil {
		random = rand.Reader
	}
	return h.Signer.Sign(random, digest, h.alg.hash())
}

// coseSigner gives go-cose the signer under the name that goes on the wire.
type coseSigner struct{ *Signer }

// Algorithm implements gocose.Signer.
func (s coseSigner) Algorithm() gocose.Algorithm { return gocose.Algorithm(s.alg) }

// Sign implements gocose.Signer.
func (s coseSigner) Sign(random io.Reader, content []byte) ([]byte, error) {
	return s.base.Sign(random, content)
}
