package transfer

import (
	"crypto/x509"
	"fmt"
)

// A RightState is the state of a CA's permission to enrol one certificate, as
// the CA tells it to others.
type RightState uint8

// The states of a right. A deleted one is told as closed.
const (
	RightClosed    RightState = 0
	RightOpen      RightState = 1
	RightConsumed  RightState = 2
	RightSuspended RightState = 3
)

// A RightStatus is a CA's statement about one right.
type RightStatus struct {
	Issuer           string  `cbor:"1,keyasint"`
	IssuedAt         Seconds `cbor:"6,keyasint"`
	RightStatusTerms `cbor:"-65537,keyasint"`
}

// RightStatusTerms are what the CA states.
type RightStatusTerms struct {
	Factory Hash       `cbor:"21,keyasint"`
	State   RightState `cbor:"33,keyasint"`
	SPKI    Hash       `cbor:"26,keyasint,omitzero"`
	Issued  Hash       `cbor:"29,keyasint,omitzero"` // the certificate issued
}

var statusKind = kind[RightStatus]{
	aad: "steward/status/1", limit: MaxSmall, tagged: true, validate: (*RightStatus).validate,
}

func (s *RightStatus) validate() error {
	if s.State > RightSuspended || s.Factory.IsZero() {
		return fmt.Errorf("transfer: right: %w", ErrValue)
	}
	return firstError(validateText("issuer", s.Issuer), validateTime("issue time", s.IssuedAt))
}

// Sign returns the status signed by the CA.
func (s RightStatus) Sign(by Signer) ([]byte, error) { return statusKind.sign(s, by) }

// ParseRightStatus reads a status whose signature is not checked.
func ParseRightStatus(raw []byte) (*Signed[RightStatus], error) {
	signed, _, err := statusKind.parse(raw)
	return signed, err
}

// VerifyRightStatus reads a status and checks that by has signed it.
func VerifyRightStatus(raw []byte, by *x509.Certificate) (*Signed[RightStatus], error) {
	return statusKind.verify(raw, by)
}

// Anchors is the command that sets signer bits on a device (§1, rule 4), signed
// by its present transfer signer and written untagged.
type Anchors struct {
	IssuedAt     Seconds `cbor:"6,keyasint"`
	AnchorsTerms `cbor:"-65537,keyasint"`
}

// AnchorsTerms are the command. Counter rises from one command to the next.
type AnchorsTerms struct {
	Counter uint64      `cbor:"36,keyasint"`
	Anchors []AnchorRef `cbor:"8,keyasint"`
}

var anchorsKind = kind[Anchors]{aad: "steward/anchors/1", limit: MaxMessage, validate: (*Anchors).validate}

func (a *Anchors) validate() error {
	if a.Counter == 0 {
		return fmt.Errorf("transfer: counter: %w", ErrValue)
	}
	return firstError(validateTime("issue time", a.IssuedAt), validateAnchors(a.Anchors))
}

// Sign returns the command signed by the transfer signer.
func (a Anchors) Sign(by Signer) ([]byte, error) { return anchorsKind.sign(a, by) }

// ParseAnchors reads a command whose signature is not checked.
func ParseAnchors(raw []byte) (*Signed[Anchors], error) {
	signed, _, err := anchorsKind.parse(raw)
	return signed, err
}

// VerifyAnchors reads a command and checks that by has signed it.
func VerifyAnchors(raw []byte, by *x509.Certificate) (*Signed[Anchors], error) {
	return anchorsKind.verify(raw, by)
}
