package transfer

import (
	"crypto/x509"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"steward/suit/cose"
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
	// Extensions of the window, in order; none: it is as offered.
	Extensions []RecordExtension `cbor:"18,keyasint,omitempty"`
	// Revised are the informations before Info, in order; none: it is the first.
	Revised []RecordRevision `cbor:"19,keyasint,omitempty"`
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

	// Came is the hash of the FINALISED receipt by which the device had come to Provider,
	// which now lets it go: the link to the record before. Empty: it began here.
	Came []byte `cbor:"13,keyasint,omitempty"`
	// Rekeys lead, in order, from the factory certificate that Came names to Factory
	// (§6). None: it is the same.
	Rekeys []RecordRekey `cbor:"14,keyasint,omitempty"`
}

// A RecordRekey is a factory certificate that has taken the place of another.
type RecordRekey struct {
	Former []byte `cbor:"1,keyasint"` // DER
	Next   []byte `cbor:"2,keyasint"` // DER
	// Proof is what the former key has signed (est.CheckRekeyProof); empty: the device
	// has shown none.
	Proof []byte `cbor:"3,keyasint"`
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
	maxParties            = 16
	maxApprovals          = 64
	maxRecorded           = 64 // of one device: each state once, and fallback more than once
	// MaxRecordRekeys is the number of re-keys of one device at one provider.
	MaxRecordRekeys = 16
)

// recordAAD keeps the signature of a record from serving as another.
const recordAAD = "steward/record/1"

func (r *Record) validate() error {
	if len(r.Devices) == 0 || len(r.Devices) > MaxDevices || len(r.Parties) > maxParties ||
		len(r.Permanent) > maxParties || len(r.Approvals) > maxApprovals ||
		len(r.Extensions) > maxExtensions || len(r.Revised) > maxExtensions {
		return fmt.Errorf("transfer: record: too much or too little in it: %w", ErrValue)
	}
	for i := range r.Devices {
		d := &r.Devices[i]
		if len(d.Came) != 0 && len(d.Came) != len(Hash{}) || len(d.Receipts) > maxRecorded ||
			len(d.Certificates) > MaxRecordCertificates || len(d.Rekeys) > MaxRecordRekeys {
			return fmt.Errorf("transfer: record of %.40q: too much in it: %w", d.Endpoint, ErrValue)
		}
	}
	return firstError(validateText("provider", r.Provider), validateID("transfer's id", r.ID),
		validateTime("issue time", r.IssuedAt))
}

// Sign returns the record signed by the provider: an untagged COSE_Sign1 whose payload
// is detached (RFC 9052 §4.1), and after it the payload, as a CBOR sequence (RFC 8742).
// So the signed part stays small however many devices there are.
func (r Record) Sign(by Signer) ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	payload, err := encode(r)
	if err != nil {
		return nil, err
	}
	signer, err := by.signer()
	if err != nil {
		return nil, err
	}
	raw, err := cose.SignSign1(signer, cose.Options{Payload: payload, ExternalAAD: []byte(recordAAD), Detached: true})
	if err != nil {
		return nil, fmt.Errorf("transfer: record: %w", err)
	}
	if raw = append(raw, payload...); len(raw) > MaxRecord {
		return nil, fmt.Errorf("transfer: record of %d bytes: %w", len(raw), ErrTooLarge)
	}
	return raw, nil
}

// A signedRecord is a record and its signature, not checked.
type signedRecord struct {
	Record

	message *cose.Sign1
	payload []byte
}

// parseRecord reads a record whose signature is not checked.
func parseRecord(raw []byte) (*signedRecord, error) {
	if len(raw) > MaxRecord {
		return nil, fmt.Errorf("transfer: record of %d bytes: %w", len(raw), ErrTooLarge)
	}
	var first cbor.RawMessage
	payload, err := strict.UnmarshalFirst(raw, &first)
	if err != nil {
		return nil, fmt.Errorf("transfer: record: %w: %w", ErrSyntax, err)
	}
	s := &signedRecord{payload: payload}
	if s.message, err = cose.ParseSign1(first); err != nil {
		return nil, fmt.Errorf("transfer: record: %w: %w", ErrSyntax, err)
	}
	if err := decode(payload, MaxRecord, &s.Record); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return s, s.validate()
}

// ParseRecord reads a record whose signature is not checked.
func ParseRecord(raw []byte) (*Record, error) {
	s, err := parseRecord(raw)
	if err != nil {
		return nil, err
	}
	return &s.Record, nil
}

// verify checks that by has signed the record.
func (s *signedRecord) verify(by *x509.Certificate) error {
	kid, err := keyID(&s.message.Headers)
	if err != nil || by == nil || kid != KeyIDOf(by.Raw) {
		return fmt.Errorf("transfer: record: %w", ErrSigner)
	}
	verifier, err := cose.NewVerifier(by.PublicKey)
	if err != nil {
		return fmt.Errorf("transfer: record: %w: %w", ErrSigner, err)
	}
	if _, err := s.message.Verify(verifier, s.payload, []byte(recordAAD)); err != nil {
		return fmt.Errorf("transfer: record: %w: %w", ErrSignature, err)
	}
	return nil
}
