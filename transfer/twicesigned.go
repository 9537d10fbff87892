package transfer

import (
	"crypto"
	"fmt"

	"steward/suit/cose"
)

// A twiceSigned is a kind of COSE_Sign message that a device signs with two keys. Its name
// is bound into the signatures, so that one kind never counts as another.
type twiceSigned string

func (k twiceSigned) aad() []byte { return []byte("steward/" + string(k) + "/1") }

// sign returns payload, untagged, signed by both.
func (k twiceSigned) sign(payload []byte, first, second *cose.Signer) ([]byte, error) {
	raw, err := cose.SignSign([]*cose.Signer{first, second}, cose.Options{Payload: payload, ExternalAAD: k.aad()})
	if err != nil {
		return nil, fmt.Errorf("transfer: %s: %w", k, err)
	}
	return raw, nil
}

// open reads a message whose signatures are not checked: there are two. It returns
// ErrTooLarge or ErrSyntax.
func (k twiceSigned) open(raw []byte) (*cose.Sign, error) {
	if len(raw) > MaxReceipt {
		return nil, fmt.Errorf("transfer: %s of %d bytes: %w", k, len(raw), ErrTooLarge)
	}
	message, err := cose.ParseSign(raw)
	if err != nil {
		return nil, fmt.Errorf("transfer: %s: %w: %w", k, ErrSyntax, err)
	}
	if len(message.Signatures) != 2 {
		return nil, fmt.Errorf("transfer: %s with %d signatures: %w", k, len(message.Signatures), ErrSyntax)
	}
	return message, nil
}

// verify checks signature i, 0 or 1, by key. It returns ErrSigner or ErrSignature.
func (k twiceSigned) verify(message *cose.Sign, i int, key crypto.PublicKey) error {
	verifier, err := cose.NewVerifier(key)
	if err != nil {
		return fmt.Errorf("transfer: %s: %w: %w", k, ErrSigner, err)
	}
	if _, err := message.Verify(i, verifier, nil, k.aad()); err != nil {
		return fmt.Errorf("transfer: %s, signature %d: %w: %w", k, i, ErrSignature, err)
	}
	return nil
}
