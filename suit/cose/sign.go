package cose

import (
	"crypto/sha256"
	"fmt"

	"github.com/fxamacker/cbor/v2"
	gocose "github.com/veraison/go-cose"
)

// A Sign is a parsed COSE_Sign message. Nothing in it is proven before Verify
// has returned without error.
type Sign struct {
	Headers // of the message; each signature has its own

	// Payload is nil if the message is detached.
	Payload []byte
	// Signatures are in the order of the message, at least one.
	Signatures []Signature
	// Tagged says whether the message carried tag 98.
	Tagged bool
}

// A Signature is one of the signatures of a COSE_Sign message.
type Signature struct {
	Headers

	// Signature is the signature as sent.
	Signature []byte
}

// wireSign is the array of §4.1.
type wireSign struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected cbor.RawMessage
	Payload     []byte
	Signatures  []wireSignature
}

// wireSignature is COSE_Signature of §4.1.
type wireSignature struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected cbor.RawMessage
	Signature   []byte
}

// SignSign returns a COSE_Sign message over o.Payload with one signature by
// each of signers, in that order. It returns ErrOptions, or the error of a key.
func SignSign(signers []*Signer, o Options) ([]byte, error) {
	if len(signers) == 0 || len(signers) > MaxSignatures {
		return nil, fmt.Errorf("%w: %d signers", ErrOptions, len(signers))
	}
	body, err := encodeMap(o.Protected)
	if err != nil {
		return nil, err
	}
	wire := wireSign{Protected: body, Unprotected: emptyMap(), Payload: nonNil(o.Payload)}
	for _, s := range signers {
		one, err := signOne(s, body, o)
		if err != nil {
			return nil, err
		}
		wire.Signatures = append(wire.Signatures, one)
	}
	if o.Detached {
		wire.Payload = nil
	}
	return encodeMessage(wire, TagSign, o.Tagged)
}

// signOne makes the signature of s.
func signOne(s *Signer, body []byte, o Options) (wireSignature, error) {
	protected, err := protect(s.alg, s.kid, nil)
	if err != nil {
		return wireSignature{}, err
	}
	headers, err := goHeaders(protected, s.alg)
	if err != nil {
		return wireSignature{}, err
	}
	wrapped, err := deterministic.enc.Marshal(body)
	if err != nil {
		return wireSignature{}, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	signature := gocose.Signature{Headers: headers}
	if err := signature.Sign(o.Rand, coseSigner{s}, wrapped, nonNil(o.Payload), o.ExternalAAD); err != nil {
		return wireSignature{}, fmt.Errorf("signing with %v: %w", s.alg, err)
	}
	return wireSignature{Protected: protected, Unprotected: emptyMap(), Signature: signature.Signature}, nil
}

// ParseSign reads a COSE_Sign message, tagged or not. understood lists the
// labels that the caller handles, for crit. It returns ErrSyntax, ErrHeader,
// ErrCritical or ErrAlgorithm.
func ParseSign(raw []byte, understood ...int64) (*Sign, error) {
	body, tagged, err := untag(raw, TagSign)
	if err != nil {
		return nil, err
	}
	var wire wireSign
	if err := decodeMessage(body, &wire); err != nil {
		return nil, err
	}
	if n := len(wire.Signatures); n == 0 || n > MaxSignatures {
		return nil, fmt.Errorf("%w: %d signatures", ErrSyntax, n)
	}
	headers, err := parseHeaders(wire.Protected, wire.Unprotected, understood)
	if err != nil {
		return nil, err
	}
	m := &Sign{Headers: headers, Payload: wire.Payload, Tagged: tagged}
	for i, s := range wire.Signatures {
		headers, err := parseSigned(s.Protected, s.Unprotected, s.Signature, understood)
		if err != nil {
			return nil, fmt.Errorf("signature %d: %w", i, err)
		}
		m.Signatures = append(m.Signatures, Signature{Headers: headers, Signature: s.Signature})
	}
	return m, nil
}

// Verify checks signature i of the message, with 0 ≤ i < len(m.Signatures), and
// returns the payload. Its parameters and errors are those of Sign1.Verify.
func (m *Sign) Verify(i int, v *Verifier, detached, externalAAD []byte) ([]byte, error) {
	payload, err := pickPayload(m.Payload, detached)
	if err != nil {
		return nil, err
	}
	s := &m.Signatures[i]
	if err := v.check(s.Algorithm()); err != nil {
		return nil, err
	}
	headers, err := goHeaders(s.raw, s.Algorithm())
	if err != nil {
		return nil, err
	}
	wrapped, err := deterministic.enc.Marshal(nonNil(m.raw))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	signature := gocose.Signature{Headers: headers, Signature: s.Signature}
	if err := signature.Verify(coseVerifier{v, s.Algorithm()}, wrapped, payload, externalAAD); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return payload, nil
}

// VerifySign parses raw, which must have exactly one signature for each of
// verifiers, in that order, and verifies them all. It returns the payload, or
// ErrSignature if the number of signatures differs.
func VerifySign(raw []byte, verifiers []*Verifier, detached, externalAAD []byte) ([]byte, error) {
	m, err := ParseSign(raw)
	if err != nil {
		return nil, err
	}
	if len(verifiers) == 0 || len(m.Signatures) != len(verifiers) {
		return nil, fmt.Errorf("%w: %d signatures, %d keys", ErrSignature, len(m.Signatures), len(verifiers))
	}
	var payload []byte
	for i, v := range verifiers {
		if payload, err = m.Verify(i, v, detached, externalAAD); err != nil {
			return nil, fmt.Errorf("signature %d: %w", i, err)
		}
	}
	return payload, nil
}

// Hash returns the SHA-256 of the protected map of the message followed by its
// payload, as Sign1.Hash does.
func (m *Sign) Hash(detached []byte) ([sha256.Size]byte, error) {
	return hash(&m.Headers, m.Payload, detached)
}
