package transfer

import (
	"crypto/x509"
	"fmt"
	"math"
)

// A Message is the TransferMessage: the outgoing provider's order to one device
// (§4, step 7). It is written to the device untagged.
type Message struct {
	Issuer       string  `cbor:"1,keyasint"` // the outgoing provider
	Subject      string  `cbor:"2,keyasint"` // the device's endpoint name
	Audience     string  `cbor:"3,keyasint"` // the incoming provider
	Expires      Seconds `cbor:"4,keyasint"` // no commit after it
	NotBefore    Seconds `cbor:"5,keyasint"` // no commit before it
	ID           []byte  `cbor:"7,keyasint"` // the transfer's id
	MessageTerms `cbor:"-65537,keyasint"`
}

// MessageTerms are where the device is to go, and how it gets back.
type MessageTerms struct {
	Destination       []byte `cbor:"0,keyasint"` // encoded, as the offer carried it
	FallbackURI       string `cbor:"5,keyasint"` // the outgoing LwM2M server
	Epoch             uint64 `cbor:"6,keyasint"` // the device's stored epoch + 1
	Offer             Hash   `cbor:"7,keyasint"` // the signed offer
	Mandate           Hash   `cbor:"12,keyasint,omitzero"`
	FallbackEnrollURI string `cbor:"13,keyasint"` // CA1
	Factory           Hash   `cbor:"21,keyasint"` // the device's factory certificate
}

var messageKind = kind[Message]{
	aad: "steward/message/1", limit: MaxMessage, validate: (*Message).validate,
}

// validate leaves the window and the schemes of URIs to the acceptance check,
// which reports them apart.
func (m *Message) validate() error {
	if m.Epoch == 0 || m.Epoch > math.MaxUint32 || m.Expires > maxTime || m.NotBefore > maxTime {
		return fmt.Errorf("transfer: epoch %d or times: %w", m.Epoch, ErrValue)
	}
	if m.Offer.IsZero() || m.Factory.IsZero() {
		return fmt.Errorf("transfer: empty hash: %w", ErrValue)
	}
	_, err := ParseDestination(m.Destination)
	return firstError(
		err,
		validateText("issuer", m.Issuer),
		validateText("subject", m.Subject),
		validateText("audience", m.Audience),
		validateText("fallbackURI", m.FallbackURI),
		validateText("fallbackEnrollURI", m.FallbackEnrollURI),
		validateID("message's id", m.ID),
	)
}

// Window returns the time in which the device may be told to commit.
func (m *Message) Window() Window { return Window{Earliest: m.NotBefore, Latest: m.Expires} }

// Sign returns the message signed by the outgoing provider's transfer signer.
func (m Message) Sign(by Signer) ([]byte, error) { return messageKind.sign(m, by) }

// ParseMessage reads a message whose signature is not checked.
func ParseMessage(raw []byte) (*Signed[Message], error) {
	signed, _, err := messageKind.parse(raw)
	return signed, err
}

// VerifyMessage reads a message and checks that by has signed it.
func VerifyMessage(raw []byte, by *x509.Certificate) (*Signed[Message], error) {
	return messageKind.verify(raw, by)
}
