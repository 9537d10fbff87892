package transfer

import (
	"crypto/x509"
	"fmt"
)

// An Extension is the outgoing provider's question whether the window of a transfer
// may end later (§7): the window as it would be, and the mandate that covers it.
type Extension struct {
	Mandate  Hash   `cbor:"12,keyasint"`
	Window   Window `cbor:"16,keyasint"`
	Transfer []byte `cbor:"46,keyasint"`
	// Document is that mandate, COSE_Sign1, where it is another than the one that the
	// transfer began with; nil: it is that one.
	Document []byte `cbor:"50,keyasint,omitempty"`
}

// Encode returns e as CBOR.
func (e Extension) Encode() ([]byte, error) { return encodeBody(e, e.validate()) }

// ParseExtension reads an Extension.
func ParseExtension(raw []byte) (Extension, error) {
	return parseBody(raw, MaxBatch, (*Extension).validate)
}

func (e *Extension) validate() error {
	return firstError(e.Window.validate(), validateID("transfer's id", e.Transfer))
}

// An Agreement is the incoming provider's signed answer to an Extension: what it has
// offered holds for that window too. Nothing else of the offer changes, and messages go
// on naming it.
type Agreement struct {
	Issuer         string  `cbor:"1,keyasint"` // the incoming provider
	Audience       string  `cbor:"3,keyasint"` // the outgoing provider
	IssuedAt       Seconds `cbor:"6,keyasint"`
	AgreementTerms `cbor:"-65537,keyasint"`
}

// AgreementTerms are what is agreed.
type AgreementTerms struct {
	Offer    Hash   `cbor:"7,keyasint"`  // the signed offer that goes on
	Mandate  Hash   `cbor:"12,keyasint"` // that covers the window
	Window   Window `cbor:"16,keyasint"`
	Transfer []byte `cbor:"46,keyasint"`
}

var agreementKind = kind[Agreement]{
	aad: "steward/extension/1", limit: MaxSmall, tagged: true, validate: (*Agreement).validate,
}

func (a *Agreement) validate() error {
	if a.Offer.IsZero() || a.Mandate.IsZero() {
		return fmt.Errorf("transfer: agreement: empty hash: %w", ErrValue)
	}
	return firstError(
		validateText("issuer", a.Issuer),
		validateText("audience", a.Audience),
		validateTime("issue time", a.IssuedAt),
		validateID("transfer's id", a.Transfer),
		a.Window.validate(),
	)
}

// Sign returns the agreement signed by the incoming provider.
func (a Agreement) Sign(by Signer) ([]byte, error) { return agreementKind.sign(a, by) }

// ParseAgreement reads an agreement whose signature is not checked.
func ParseAgreement(raw []byte) (*Signed[Agreement], error) {
	signed, _, err := agreementKind.parse(raw)
	return signed, err
}

// VerifyAgreement reads an agreement and checks that by has signed it.
func VerifyAgreement(raw []byte, by *x509.Certificate) (*Signed[Agreement], error) {
	return agreementKind.verify(raw, by)
}
