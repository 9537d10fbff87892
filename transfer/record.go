package transfer

import (
	"crypto/x509"
	"fmt"
)

// A Record is what one provider knows of a hand-over, signed by it, so that an
// auditor can check it without asking anybody (§10): every document as it was signed,
// and for each device its order, its receipts and what became of it. Check does so.
type Record struct {
	Provider string  `cbor:"1,keyasint"` // whose record it is
	IssuedAt Seconds `cbor:"6,keyasint"`
	ID       []byte  `cbor:"7,keyasint"` // the transfer's
	// Incoming says that Provider took the devices over; otherwise it let them go.
	Incoming bool   `cbor:"8,keyasint"`
	State    string `cbor:"9,keyasint"` // of the transfer, a BatchState

	Mandate []byte `cbor:"10,keyasint"` // COSE_Sign1
	Info    []byte `cbor:"11,keyasint"` // JWS
	Answer  []byte `cbor:"12,keyasint"` // CBOR; empty: there was none
	Offer   []byte `cbor:"13,keyasint"` // COSE_Sign1; empty: there was none

	// Parties are those whose signatures are in it: the service user, both providers
	// and their verifiers.
	Parties   []RecordSigner   `cbor:"14,keyasint"`
	Permanent [][]byte         `cbor:"15,keyasint"` // DER of the permanent CAs
	Approvals []RecordApproval `cbor:"16,keyasint"`
	Devices   []RecordDevice   `cbor:"17,keyasint"`
}

// A RecordSigner is somebody who signs, as the provider has pinned it.
type RecordSigner struct {
	Name        string `cbor:"1,keyasint"`
	Certificate []byte `cbor:"2,keyasint"` // DER
	Verifier    bool   `cbor:"3,keyasint"` // of devices; otherwise it signs messages
}

// A RecordApproval is the decision of a person at the provider.
type RecordApproval struct {
	By     string  `cbor:"1,keyasint"`
	At     Seconds `cbor:"2,keyasint"`
	Reason string  `cbor:"3,keyasint"`
}

// A RecordDevice is one device of a Record.
type RecordDevice struct {
	Endpoint string `cbor:"1,keyasint"`
	Factory  []byte `cbor:"2,keyasint"` // DER
	State    string `cbor:"3,keyasint"` // a RowState
	Inferred bool   `cbor:"4,keyasint"` // State is the partner's word
	Reason   string `cbor:"5,keyasint"`

	Message  []byte   `cbor:"6,keyasint"` // as written; empty at the incoming provider
	Receipts [][]byte `cbor:"7,keyasint"` // in the order in which they came
	Verdict  []byte   `cbor:"8,keyasint"` // of its attestation; empty: none
	// Certificates are the operational ones that the provider's CA gave the device.
	Certificates []RecordCertificate `cbor:"9,keyasint"`

	Ready     Seconds `cbor:"10,keyasint"`
	Committed Seconds `cbor:"11,keyasint"` // out of service from here
	Active    Seconds `cbor:"12,keyasint"` // to here; zero: not known
}

// A RecordCertificate is a certificate, and its revocation.
type RecordCertificate struct {
	DER       []byte  `cbor:"1,keyasint"`
	RevokedAt Seconds `cbor:"2,keyasint"` // zero: it is not revoked
	Reason    string  `cbor:"3,keyasint"` // of RFC 5280 §5.3.1, in its words
}

// Limits of a Record.
const (
	// MaxRecord is the greatest length of a signed record, in bytes: about four
	// thousand for each device.
	MaxRecord = 96 << 20
	// MaxRecordCertificates is the number of certificates of one device, the newest.
	MaxRecordCertificates = 32
	maxParties            = 8
	maxApprovals          = 64
	maxRecorded           = 64 // of one device: each state once, and fallback more than once
)

var recordKind = kind[Record]{aad: "steward/record/1", limit: MaxRecord, tagged: true, validate: (*Record).validate}

func (r *Record) validate() error {
	if len(r.Devices) == 0 || len(r.Devices) > MaxDevices || len(r.Parties) > maxParties ||
		len(r.Permanent) > maxParties || len(r.Approvals) > maxApprovals {
		return fmt.Errorf("transfer: record: too much or too little in it: %w", ErrValue)
	}
	for i := range r.Devices {
		d := &r.Devices[i]
		if len(d.Receipts) > maxRecorded || len(d.Certificates) > MaxRecordCertificates {
			return fmt.Errorf("transfer: record of %.40q: too much in it: %w", d.Endpoint, ErrValue)
		}
	}
	return firstError(validateText("provider", r.Provider), validateID("transfer's id", r.ID),
		validateTime("issue time", r.IssuedAt))
}

// Sign returns the record signed by the provider.
func (r Record) Sign(by Signer) ([]byte, error) { return recordKind.sign(r, by) }

// ParseRecord reads a record whose signature is not checked.
func ParseRecord(raw []byte) (*Signed[Record], error) {
	signed, _, err := recordKind.parse(raw)
	return signed, err
}

// VerifyRecord reads a record and checks that by has signed it.
func VerifyRecord(raw []byte, by *x509.Certificate) (*Signed[Record], error) {
	return recordKind.verify(raw, by)
}
