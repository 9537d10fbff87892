package transfer

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// A RetirementRecord is what proves that a device has erased itself, for an auditor who
// checks it offline. The device's signatures are all there is to prove; that its
// certificates are revoked, the CRL says.
type RetirementRecord struct {
	Provider    string `cbor:"1,keyasint"` // that has told it to retire
	Factory     []byte `cbor:"2,keyasint"` // DER
	Operational []byte `cbor:"3,keyasint"` // DER
	Retirement  []byte `cbor:"4,keyasint"`
}

// MaxRetirementRecord is the greatest length of a RetirementRecord.
const MaxRetirementRecord = 2*MaxCertificate + MaxReceipt + 512

// Encode returns the record. It returns the errors of Check, so that nothing is kept that
// proves nothing.
func (r RetirementRecord) Encode() ([]byte, error) {
	if _, err := r.Check(nil); err != nil {
		return nil, err
	}
	return encode(r)
}

// ParseRetirementRecord reads a record that is not checked. It returns ErrTooLarge,
// ErrSyntax or ErrValue.
func ParseRetirementRecord(raw []byte) (*RetirementRecord, error) {
	r := &RetirementRecord{}
	if err := decode(raw, MaxRetirementRecord, r); err != nil {
		return nil, fmt.Errorf("record of a retirement: %w", err)
	}
	return r, validateText("provider", r.Provider)
}

// Check verifies the record and returns what the device says. permanent are the CAs of
// which one must have issued its factory certificate; none: the certificate is believed.
// It returns ErrRetirement, ErrSigner, ErrSignature, or the errors of ParseRetirement.
func (r *RetirementRecord) Check(permanent []*x509.Certificate) (*Retirement, error) {
	factory, err1 := x509.ParseCertificate(r.Factory)
	operational, err2 := x509.ParseCertificate(r.Operational)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("transfer: %w: %w", ErrRetirement, err)
	}
	issued := len(permanent) == 0
	for _, ca := range permanent {
		issued = issued || factory.CheckSignatureFrom(ca) == nil
	}
	said, err := VerifyRetirement(r.Retirement, factory, operational)
	if err != nil {
		return nil, err
	}
	return said, firstFalse(ErrRetirement, []claim{
		{issued, "another permanent CA"},
		{operational.Subject.CommonName == factory.Subject.CommonName, "operational certificate of another device"},
	})
}
