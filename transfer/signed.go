package transfer

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"

	"steward/suit/cose"
)

// The reasons for which a signed message is refused, beside those of its body.
var (
	// ErrSignature reports a signature that does not verify: a wrong key, other
	// bytes, or a message of another kind.
	ErrSignature = errors.New("signature does not verify")
	// ErrSigner reports a key identifier that names another certificate than the
	// one to verify with, or a certificate whose key cannot sign.
	ErrSigner = errors.New("signed by another certificate")
)

// KeyIDLength is the length in bytes of a key identifier.
const KeyIDLength = 8

// A KeyID is the first 8 bytes of the SHA-256 of the signer's certificate. It is
// a hint for the look-up and proves nothing.
type KeyID [KeyIDLength]byte

// KeyIDOf returns the key identifier of a certificate's encoding.
func KeyIDOf(certificate []byte) KeyID {
	h := HashOf(certificate)
	return KeyID(h[:KeyIDLength])
}

// A Signer is a private key with the certificate under which others know it.
type Signer struct {
	Key         crypto.Signer
	Certificate []byte // DER
}

// signer returns s for COSE. P-256 keys sign as ES256, which every COSE stack
// knows; the fully specified ESP256 is accepted from others.
func (s Signer) signer() (*cose.Signer, error) {
	kid := KeyIDOf(s.Certificate)
	return signerWith(s.Key, kid)
}

func signerWith(key crypto.Signer, kid KeyID) (*cose.Signer, error) {
	if key == nil {
		return nil, fmt.Errorf("transfer: no key: %w", ErrSigner)
	}
	var alg cose.Algorithm // the key's own
	if _, ok := key.Public().(*ecdsa.PublicKey); ok {
		alg = cose.ES256
	}
	signer, err := cose.NewSigner(key, alg, kid[:])
	if err != nil {
		return nil, fmt.Errorf("transfer: %w: %w", ErrSigner, err)
	}
	return signer, nil
}

// A Signed is a body with what its signed form says about it.
type Signed[T any] struct {
	Body T
	// Hash names the signed object whatever its signature and its tag: the
	// SHA-256 of the protected header followed by the payload.
	Hash Hash
	// Signer is the key identifier in the header.
	Signer KeyID
}

// A kind is one kind of COSE_Sign1 message. The aad keeps a signature of one
// kind from serving as another.
type kind[T any] struct {
	aad      string
	limit    int
	tagged   bool // outside LwM2M resources
	validate func(*T) error
}

func (k kind[T]) sign(body T, by Signer) ([]byte, error) {
	if err := k.validate(&body); err != nil {
		return nil, err
	}
	payload, err := encode(body)
	if err != nil {
		return nil, err
	}
	signer, err := by.signer()
	if err != nil {
		return nil, err
	}
	raw, err := cose.SignSign1(signer, cose.Options{Payload: payload, ExternalAAD: []byte(k.aad), Tagged: k.tagged})
	if err != nil {
		return nil, fmt.Errorf("transfer: %s: %w", k.aad, err)
	}
	if len(raw) > k.limit {
		return nil, fmt.Errorf("transfer: %s: %d bytes: %w", k.aad, len(raw), ErrTooLarge)
	}
	return raw, nil
}

func (k kind[T]) parse(raw []byte) (*Signed[T], *cose.Sign1, error) {
	if len(raw) > k.limit {
		return nil, nil, fmt.Errorf("transfer: %s: %d bytes of at most %d: %w", k.aad, len(raw), k.limit, ErrTooLarge)
	}
	message, err := cose.ParseSign1(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("transfer: %s: %w: %w", k.aad, ErrSyntax, err)
	}
	kid, err := keyID(&message.Headers)
	if err != nil {
		return nil, nil, fmt.Errorf("transfer: %s: %w", k.aad, err)
	}
	if !message.Bare() { // small devices know two header parameters
		return nil, nil, fmt.Errorf("transfer: %s: %w: more than algorithm and key identifier", k.aad, ErrSyntax)
	}
	signed := &Signed[T]{Signer: kid}
	if err := decode(message.Payload, k.limit, &signed.Body); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", k.aad, err)
	}
	if err := k.validate(&signed.Body); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", k.aad, err)
	}
	hash, err := message.Hash(nil)
	if err != nil {
		return nil, nil, fmt.Errorf("transfer: %s: %w: %w", k.aad, ErrSyntax, err)
	}
	signed.Hash = hash
	return signed, message, nil
}

func (k kind[T]) verify(raw []byte, by *x509.Certificate) (*Signed[T], error) {
	signed, message, err := k.parse(raw)
	if err != nil {
		return nil, err
	}
	if by == nil || signed.Signer != KeyIDOf(by.Raw) {
		return nil, fmt.Errorf("transfer: %s: %w", k.aad, ErrSigner)
	}
	verifier, err := cose.NewVerifier(by.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("transfer: %s: %w: %w", k.aad, ErrSigner, err)
	}
	if _, err := message.Verify(verifier, nil, []byte(k.aad)); err != nil {
		return nil, fmt.Errorf("transfer: %s: %w: %w", k.aad, ErrSignature, err)
	}
	return signed, nil
}

// keyID reads the key identifier, which must be protected.
func keyID(h *cose.Headers) (KeyID, error) {
	kid := h.KeyID()
	if _, ok := h.Protected(cose.LabelKeyID); !ok || len(kid) != KeyIDLength {
		return KeyID{}, fmt.Errorf("%w: no key identifier of %d bytes", ErrSyntax, KeyIDLength)
	}
	return KeyID(kid), nil
}

// The tags of COSE_Sign1 and COSE_Sign, encoded.
var (
	tagSign1 = []byte{0xc0 | cose.TagSign1}
	tagSign  = []byte{0xd8, cose.TagSign}
)

// Untag returns a COSE message as LwM2M resources carry it: without its tag.
// It returns raw itself if there is none.
func Untag(raw []byte) []byte {
	if rest, ok := bytes.CutPrefix(raw, tagSign1); ok {
		return rest
	}
	rest, _ := bytes.CutPrefix(raw, tagSign)
	return rest
}

// TagReceipt returns a receipt as everything but LwM2M resources carries it.
func TagReceipt(raw []byte) []byte { return append(bytes.Clone(tagSign), Untag(raw)...) }
