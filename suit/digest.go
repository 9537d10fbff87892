package suit

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"fmt"
	"hash"
	"slices"
)

// A DigestAlgorithm is a hash algorithm (IANA "COSE Algorithms", RFC 9054).
type DigestAlgorithm int64

// The digest algorithms that this package computes. SHA-256 is required, the
// others are optional (§10): a recipient says which it accepts.
const (
	SHA256   DigestAlgorithm = -16
	SHAKE128 DigestAlgorithm = -18 // of 256 bits
	SHA384   DigestAlgorithm = -43
	SHA512   DigestAlgorithm = -44
	SHAKE256 DigestAlgorithm = -45 // of 512 bits
)

// String returns the registered name.
func (a DigestAlgorithm) String() string {
	switch a {
	case SHA256:
		return "SHA-256"
	case SHA384:
		return "SHA-384"
	case SHA512:
		return "SHA-512"
	case SHAKE128:
		return "SHAKE128"
	case SHAKE256:
		return "SHAKE256"
	}
	return fmt.Sprintf("algorithm %d", int64(a))
}

// New returns a hash that computes a, or ErrAlgorithm.
func (a DigestAlgorithm) New() (hash.Hash, error) {
	switch a {
	case SHA256:
		return sha256.New(), nil
	case SHA384:
		return sha512.New384(), nil
	case SHA512:
		return sha512.New(), nil
	case SHAKE128:
		return shake{sha3.NewSHAKE128(), 32}, nil
	case SHAKE256:
		return shake{sha3.NewSHAKE256(), 64}, nil
	}
	return nil, fmt.Errorf("%w: %v", ErrAlgorithm, a)
}

// A shake is a hash of fixed size made of an extendable one (RFC 9054 §3.2).
type shake struct {
	*sha3.SHAKE

	size int // bytes
}

// Size implements hash.Hash.
func (s shake) Size() int { return s.size }

// Sum implements hash.Hash.
func (s shake) Sum(b []byte) []byte {
	c := *s.SHAKE // reading ends the absorbing of this one only
	out := make([]byte, s.size)
	_, _ = c.Read(out) // never fails
	return append(b, out...)
}

// A Digest is a SUIT_Digest: the algorithm and the value.
type Digest struct {
	Algorithm DigestAlgorithm
	Value     []byte
}

// Sum returns the digest of content, or ErrAlgorithm.
func Sum(a DigestAlgorithm, content []byte) (Digest, error) {
	h, err := a.New()
	if err != nil {
		return Digest{}, err
	}
	h.Write(content)
	return Digest{Algorithm: a, Value: h.Sum(nil)}, nil
}

// Equal reports whether d and e are the same digest.
func (d Digest) Equal(e Digest) bool {
	return d.Algorithm == e.Algorithm && bytes.Equal(d.Value, e.Value)
}

// String returns the digest as a person reads it.
func (d Digest) String() string { return fmt.Sprintf("%v %x", d.Algorithm, d.Value) }

// Encode returns the SUIT_Digest array.
func (d Digest) Encode() []byte {
	b := appendHead(nil, majorArray, 2)
	return appendBytes(appendInt(b, int64(d.Algorithm)), d.Value)
}

// Verify compares d with the digest of content. It returns ErrAlgorithm unless
// the algorithm is among allowed, ErrDigest if the content differs. Digests are
// public, so the comparison need not take constant time.
func (d Digest) Verify(content []byte, allowed ...DigestAlgorithm) error {
	if !slices.Contains(allowed, d.Algorithm) {
		return fmt.Errorf("%w: %v", ErrAlgorithm, d.Algorithm)
	}
	got, err := Sum(d.Algorithm, content)
	if err != nil {
		return err
	}
	if !got.Equal(d) {
		return fmt.Errorf("%w: %v", ErrDigest, got)
	}
	return nil
}

// ParseDigest reads a SUIT_Digest array. It returns ErrEncoding or ErrStructure;
// whether the algorithm is acceptable shows when the digest is used.
func ParseDigest(raw []byte) (Digest, error) {
	if err := check(raw); err != nil {
		return Digest{}, err
	}
	return digestOf(raw)
}

func digestOf(i item) (Digest, error) {
	members, err := i.array()
	if err != nil || len(members) != 2 {
		return Digest{}, fmt.Errorf("%w: not a SUIT_Digest", ErrStructure)
	}
	alg, err := members[0].int()
	if err != nil {
		return Digest{}, fmt.Errorf("digest algorithm: %w", err)
	}
	value, err := members[1].bytes()
	if err != nil {
		return Digest{}, fmt.Errorf("digest value: %w", err)
	}
	return Digest{Algorithm: DigestAlgorithm(alg), Value: value}, nil
}
