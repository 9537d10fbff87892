package transfer

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// A MandateRequest is what an operator asks a service user to sign: who shall hand which
// devices to whom, and when. It is a file of JSON, not signed: the service user reads it,
// and answers for what it signs.
type MandateRequest struct {
	Type string `json:"type"` // mandateRequestType
	// Transfer is the id of the draft that it is for, in hex; what is signed is a
	// mandate for these devices, whichever transfer they go by.
	Transfer string                 `json:"transfer,omitempty"`
	From     string                 `json:"from"` // the outgoing provider
	To       string                 `json:"to"`   // the incoming provider
	Earliest time.Time              `json:"earliest"`
	Latest   time.Time              `json:"latest"`
	Devices  []MandateRequestDevice `json:"devices,omitempty"`
	// Group is asked for in place of Devices, as Devices.Group has it.
	Group           string  `json:"group,omitempty"`
	Attestation     bool    `json:"attestation,omitempty"`
	KeepApplication bool    `json:"keep_application,omitempty"`
	MaxSequence     *uint64 `json:"max_sequence,omitempty"`
	Note            string  `json:"note,omitempty"` // of the operator, for the service user
}

// A MandateRequestDevice is one device of a request.
type MandateRequestDevice struct {
	Endpoint string `json:"endpoint"` // for people
	Factory  string `json:"factory"`  // hex of the SHA-256 of its factory certificate
}

const (
	mandateRequestType = "steward/mandate-request/1"
	// maxMandateRequest bounds the file: MaxDevices with long names.
	maxMandateRequest = 4 << 20
)

// ErrRequest reports a request for a mandate that cannot be signed as it is.
var ErrRequest = errors.New("no request for a mandate")

// Encode returns the file.
func (r MandateRequest) Encode() ([]byte, error) {
	r.Type = mandateRequestType
	if err := r.validate(); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}

// ParseMandateRequest reads the file, strictly. It returns ErrRequest.
func ParseMandateRequest(text []byte) (*MandateRequest, error) {
	if len(text) > maxMandateRequest {
		return nil, fmt.Errorf("%w: %d bytes", ErrRequest, len(text))
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var r MandateRequest
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows it", ErrRequest)
	}
	return &r, r.validate()
}

func (r *MandateRequest) validate() error {
	if r.Type != mandateRequestType {
		return fmt.Errorf("%w: type %.40q", ErrRequest, r.Type)
	}
	if (len(r.Devices) > 0) == (r.Group != "") || len(r.Devices) > MaxDevices {
		return fmt.Errorf("%w: %d devices and group %.40q", ErrRequest, len(r.Devices), r.Group)
	}
	for _, d := range r.Devices {
		if hash := hashOfHex(d.Factory); hash.IsZero() || len(d.Endpoint) > maxText {
			return fmt.Errorf("%w: device %.40q with certificate %.80q", ErrRequest, d.Endpoint, d.Factory)
		}
	}
	m := r.Mandate("any", r.Latest, make([]byte, maxID))
	if err := m.validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return nil
}

// hashOfHex reads a hash, and returns the zero one for what is none.
func hashOfHex(text string) (h Hash) {
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == len(h) {
		copy(h[:], raw)
	}
	return h
}

// Mandate returns what is asked for, to be signed by the service user called issuer. It
// expires at the end of its window. id is random, of 16 bytes.
func (r *MandateRequest) Mandate(issuer string, now time.Time, id []byte) Mandate {
	m := Mandate{
		Issuer: issuer, IssuedAt: SecondsOf(now), Expires: SecondsOf(r.Latest), ID: id,
		MandateTerms: MandateTerms{
			From: r.From, To: r.To, Window: NewWindow(r.Earliest, r.Latest), MaxSequence: r.MaxSequence,
			Devices: Devices{Group: r.Group},
		},
	}
	for _, d := range r.Devices {
		m.Devices.Factory = append(m.Devices.Factory, hashOfHex(d.Factory))
	}
	yes := true
	if r.Attestation {
		m.Attestation = &yes
	}
	if r.KeepApplication {
		m.KeepApplication = &yes
	}
	return m
}
