package cose

import (
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"
	gocose "github.com/veraison/go-cose"
)

// The tags of signed messages (§2).
const (
	TagSign1 = 18
	TagSign  = 98
)

// Options say how a message is signed. The zero value makes an attached,
// untagged message with an empty payload.
type Options struct {
	// Protected holds further protected parameters, such as LabelCWTClaims. For
	// a COSE_Sign they stand in the header of the message, not in those of its
	// signatures. The algorithm and the key identifier come from the Signer.
	Protected map[int64]any
	// Payload is what is signed. Nil means empty.
	Payload []byte
	// ExternalAAD is signed but not sent (§4.4). Nil means empty.
	ExternalAAD []byte
	// Detached leaves the payload out of the message.
	Detached bool
	// Tagged puts the CBOR tag in front of the message.
	Tagged bool
	// Rand is the source of randomness; nil means that of crypto/rand.
	Rand io.Reader
}

// A Sign1 is a parsed COSE_Sign1 message. Nothing in it is proven before Verify
// has returned without error.
type Sign1 struct {
	Headers

	// Payload is nil if the message is detached.
	Payload []byte
	// Signature is the signature as sent.
	Signature []byte
	// Tagged says whether the message carried tag 18.
	Tagged bool
}

// wireSign1 is the array of §4.2.
type wireSign1 struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected cbor.RawMessage
	Payload     []byte
	Signature   []byte
}

// SignSign1 returns a COSE_Sign1 message over o.Payload. It returns ErrOptions,
// or the error of the key.
func SignSign1(s *Signer, o Options) ([]byte, error) {
	protected, err := protect(s.alg, s.kid, o.Protected)
	if err != nil {
		return nil, err
	}
	message, err := goSign1(protected, nonNil(o.Payload), nil, s.alg)
	if err != nil {
		return nil, err
	}
	if err := message.Sign(o.Rand, o.ExternalAAD, coseSigner{s}); err != nil {
		return nil, fmt.Errorf("signing with %v: %w", s.alg, err)
	}
	wire := wireSign1{
		Protected: protected, Unprotected: emptyMap(),
		Payload: nonNil(o.Payload), Signature: message.Signature,
	}
	if o.Detached {
		wire.Payload = nil
	}
	return encodeMessage(wire, TagSign1, o.Tagged)
}

// ParseSign1 reads a COSE_Sign1 message, tagged or not. understood lists the
// labels that the caller handles, for crit. It returns ErrSyntax, ErrHeader,
// ErrCritical or ErrAlgorithm. The result aliases nothing.
func ParseSign1(raw []byte, understood ...int64) (*Sign1, error) {
	body, tagged, err := untag(raw, TagSign1)
	if err != nil {
		return nil, err
	}
	var wire wireSign1
	if err := decodeMessage(body, &wire); err != nil {
		return nil, err
	}
	headers, err := parseSigned(wire.Protected, wire.Unprotected, wire.Signature, understood)
	if err != nil {
		return nil, err
	}
	return &Sign1{Headers: headers, Payload: wire.Payload, Signature: wire.Signature, Tagged: tagged}, nil
}

// Verify checks the signature and returns the payload. detached is nil if the
// message carries its payload, otherwise it is the payload. Verify returns
// ErrPayload if the message is of the other kind, ErrKey if v does not accept
// its algorithm, ErrSignature if the signature is wrong.
func (m *Sign1) Verify(v *Verifier, detached, externalAAD []byte) ([]byte, error) {
	payload, err := pickPayload(m.Payload, detached)
	if err != nil {
		return nil, err
	}
	if err := v.check(m.Algorithm()); err != nil {
		return nil, err
	}
	message, err := goSign1(m.raw, payload, m.Signature, m.Algorithm())
	if err != nil {
		return nil, err
	}
	if err := message.Verify(externalAAD, coseVerifier{v, m.Algorithm()}); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return payload, nil
}

// VerifySign1 parses raw and verifies it as Sign1.Verify does.
func VerifySign1(raw []byte, v *Verifier, detached, externalAAD []byte) ([]byte, error) {
	m, err := ParseSign1(raw)
	if err != nil {
		return nil, err
	}
	return m.Verify(v, detached, externalAAD)
}

// Hash returns the SHA-256 of the protected map followed by the payload, which
// names the message whatever its signature and tag. The map delimits itself, so
// the concatenation is unambiguous. For a detached message pass its payload,
// otherwise nil; Hash returns ErrPayload as Verify does.
func (m *Sign1) Hash(detached []byte) ([sha256.Size]byte, error) {
	return hash(&m.Headers, m.Payload, detached)
}

// hash is the common part of Sign1.Hash and Sign.Hash.
func hash(h *Headers, attached, detached []byte) ([sha256.Size]byte, error) {
	payload, err := pickPayload(attached, detached)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	digest := sha256.New()
	digest.Write(h.raw)
	digest.Write(payload)
	return [sha256.Size]byte(digest.Sum(nil)), nil
}

// pickPayload returns the one payload there is.
func pickPayload(attached, detached []byte) ([]byte, error) {
	switch {
	case attached != nil && detached != nil:
		return nil, fmt.Errorf("%w: attached", ErrPayload)
	case attached == nil && detached == nil:
		return nil, fmt.Errorf("%w: none", ErrPayload)
	case attached != nil:
		return attached, nil
	}
	return detached, nil
}

// goSign1 builds the message that go-cose signs or verifies.
func goSign1(protected, payload, signature []byte, alg Algorithm) (*gocose.Sign1Message, error) {
	headers, err := goHeaders(protected, alg)
	if err != nil {
		return nil, err
	}
	return &gocose.Sign1Message{Headers: headers, Payload: payload, Signature: signature}, nil
}

// goHeaders wraps the signed bytes, so that go-cose does not encode them anew.
func goHeaders(protected []byte, alg Algorithm) (gocose.Headers, error) {
	wrapped, err := deterministic.enc.Marshal(nonNil(protected))
	if err != nil {
		return gocose.Headers{}, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return gocose.Headers{
		RawProtected: wrapped,
		Protected:    gocose.ProtectedHeader{gocose.HeaderLabelAlgorithm: gocose.Algorithm(alg)},
	}, nil
}

// nonNil returns b, or an empty slice for nil: COSE tells them apart.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
