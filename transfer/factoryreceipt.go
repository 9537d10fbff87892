package transfer

import (
	"crypto/x509"
	"fmt"
)

// VerifyFactoryReceipt reads a receipt and checks the first signature, that of
// the factory key. It is for the provider that did not issue the operational
// certificate and cannot know it: the other one has checked the second signature
// against its inventory. What the receipt says of that certificate must still fit
// the second signature's key identifier. It returns ErrSigner or ErrSignature,
// beside the errors of ParseReceipt.
func VerifyFactoryReceipt(raw []byte, factory *x509.Certificate) (*Signed[Receipt], error) {
	signed, message, err := parseReceipt(raw)
	if err != nil {
		return nil, err
	}
	if factory == nil || signed.Body.Factory != HashOf(factory.Raw) || signed.Signer != KeyIDOf(factory.Raw) {
		return nil, fmt.Errorf("transfer: receipt of another device: %w", ErrSigner)
	}
	second, err := keyID(&message.Signatures[1].Headers)
	if err != nil {
		return nil, fmt.Errorf("transfer: receipt: %w", err)
	}
	named := signed.Body.Operational
	switch {
	case named.IsZero() && signed.Body.State.certified():
		return nil, fmt.Errorf("transfer: %s receipt without an operational certificate: %w", signed.Body.State, ErrSigner)
	case named.IsZero():
		named = signed.Body.SPKI
	}
	if second != KeyID(named[:KeyIDLength]) {
		return nil, fmt.Errorf("transfer: receipt's second signature: %w", ErrSigner)
	}
	return signed, verifyReceiptBy(message, 0, factory.PublicKey)
}
