package attest

import (
	"crypto"
	"crypto/ecdsa"
	"fmt"

	"steward/suit/cose"
)

// sign returns payload in a tagged COSE_Sign1 with ES256.
func sign(key crypto.Signer, kid, payload []byte, aad string, limit int) ([]byte, error) {
	if key == nil {
		return nil, fmt.Errorf("attest: none: %w", ErrKey)
	}
	signer, err := cose.NewSigner(key, cose.ES256, kid)
	if err != nil {
		return nil, fmt.Errorf("attest: %w: %w", ErrKey, err)
	}
	raw, err := cose.SignSign1(signer, cose.Options{Payload: payload, ExternalAAD: []byte(aad), Tagged: true})
	if err != nil {
		return nil, fmt.Errorf("attest: %w", err)
	}
	if len(raw) > limit {
		return nil, fmt.Errorf("attest: %d bytes of at most %d: %w", len(raw), limit, ErrTooLarge)
	}
	return raw, nil
}

func parse(raw []byte, limit int) (*cose.Sign1, error) {
	if len(raw) > limit {
		return nil, fmt.Errorf("attest: %d bytes of at most %d: %w", len(raw), limit, ErrTooLarge)
	}
	message, err := cose.ParseSign1(raw)
	if err != nil {
		return nil, fmt.Errorf("attest: %w: %w", ErrSyntax, err)
	}
	if message.Payload == nil {
		return nil, fmt.Errorf("attest: detached: %w", ErrSyntax)
	}
	return message, nil
}

func verify(message *cose.Sign1, key *ecdsa.PublicKey, aad string) error {
	if key == nil {
		return fmt.Errorf("attest: none: %w", ErrKey)
	}
	verifier, err := cose.NewVerifier(key, cose.ES256)
	if err != nil {
		return fmt.Errorf("attest: %w: %w", ErrKey, err)
	}
	if _, err := message.Verify(verifier, nil, []byte(aad)); err != nil {
		return fmt.Errorf("attest: %w: %w", ErrSignature, err)
	}
	return nil
}
