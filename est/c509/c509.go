// Package c509 is the CBOR encoding of X.509 (draft-ietf-cose-cbor-encoded-cert-20):
// certificates, certification requests and their templates, in the two types
// that the draft has. Type 3 is an X.509 structure in fewer bytes, from which
// the DER is rebuilt bit by bit, because its signature is over DER; type 2 is
// signed over CBOR. Sections in this package's comments are the draft's.
//
// Decoding is strict: CBOR is deterministic (§3.7), what the draft encodes in one
// way is refused in another, and integers that no registry knows are refused.
// Encoding gives only what decodes to the very DER it came from.
package c509

import (
	"crypto/sha256"
	"errors"
)

// Limits of the decoders.
const (
	// MaxSize bounds a structure in bytes, of CBOR or DER: an RSA certificate with
	// the transparency receipts of the web stays below a tenth of it.
	MaxSize = 32 << 10
	// MaxItems bounds the data items of one structure, and with it what is
	// allocated: the draft's longest example has 60.
	MaxItems = 4096
	// MaxDepth bounds nesting: array, extensions, distribution points, names, pairs.
	MaxDepth = 12
	// MaxChain is how many certificates a COSE_C509 may have.
	MaxChain = 8
)

var (
	// ErrSize reports more than MaxSize bytes, MaxItems items or MaxChain certificates.
	ErrSize = errors.New("C509 too large")
	// ErrCBOR reports bytes that are not one deterministically encoded CBOR item
	// (RFC 8949 §4.2.1), or one nested deeper than MaxDepth.
	ErrCBOR = errors.New("malformed CBOR")
	// ErrForm reports CBOR that is not the structure that the draft prescribes, or
	// not in the one form that it prescribes.
	ErrForm = errors.New("not in the form of C509")
	// ErrCode reports an integer that no registry of the draft knows (§8).
	ErrCode = errors.New("unknown C509 code")
	// ErrPoint reports a compressed point that is not on its curve, or on a curve
	// whose points this package cannot decompress.
	ErrPoint = errors.New("cannot decompress the point")
	// ErrDER reports bytes that are not an X.509 certificate or a PKCS#10 request.
	ErrDER = errors.New("malformed X.509")
	// ErrNoForm reports X.509 that C509 cannot carry, such as a name with several
	// attributes in one RDN (§3.1).
	ErrNoForm = errors.New("no C509 form")
	// ErrSignature reports a signature that does not verify.
	ErrSignature = errors.New("signature does not verify")
	// ErrAlgorithm reports an algorithm that this package cannot verify or sign with.
	ErrAlgorithm = errors.New("unsupported signature algorithm")
)

// A Type says what a structure's signature covers (§8.2, §8.3).
type Type int

// The types.
const (
	Native    Type = 2 // signed over CBOR
	Reencoded Type = 3 // X.509, signed over DER
)

// Hash returns the SHA-256 of a certificate's array, which is what c5t holds
// (§3.4). That of a type 3 certificate depends on how its key was compressed.
func (c *Certificate) Hash() [sha256.Size]byte { return sha256.Sum256(c.Raw) }
