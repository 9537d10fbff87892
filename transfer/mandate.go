package transfer

import (
	"crypto/x509"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// A Mandate is the service user's order to move devices from one provider to
// another (§4, step 0).
type Mandate struct {
	Issuer       string  `cbor:"1,keyasint"` // the service user
	Expires      Seconds `cbor:"4,keyasint"`
	IssuedAt     Seconds `cbor:"6,keyasint"`
	ID           []byte  `cbor:"7,keyasint"`
	MandateTerms `cbor:"-65537,keyasint"`
}

// MandateTerms are what a mandate allows.
type MandateTerms struct {
	From    string  `cbor:"40,keyasint"` // the outgoing provider
	To      string  `cbor:"41,keyasint"` // the incoming provider
	Devices Devices `cbor:"42,keyasint"`
	Window  Window  `cbor:"16,keyasint"`
	// Attestation demands remote attestation; nil means not demanded.
	Attestation *bool `cbor:"43,keyasint,omitempty"`
	// MaxSequence is the highest SUIT sequence number acceptable; nil means 2^32-1.
	MaxSequence *uint64 `cbor:"44,keyasint,omitempty"`
	// KeepApplication allows a reset that keeps the application's data; nil means no.
	KeepApplication *bool `cbor:"45,keyasint,omitempty"`
}

// Devices are those a mandate speaks of: a list, or a group. A group that ends with a
// "*" is a prefix of the common names in factory certificates, which devices and both
// providers check alike; any other is one that the outgoing provider keeps by that name.
type Devices struct {
	Factory []Hash // of their factory certificates
	Group   string // used if Factory is empty
}

// GroupName returns the group that only the outgoing provider knows the devices of;
// "" where there is none.
func (d Devices) GroupName() string {
	if len(d.Factory) > 0 || strings.HasSuffix(d.Group, anyRest) {
		return ""
	}
	return d.Group
}

// anyRest ends a group that is a prefix.
const anyRest = "*"

// MarshalCBOR encodes d as an array or a text.
func (d Devices) MarshalCBOR() ([]byte, error) {
	if len(d.Factory) > 0 {
		return strict.Marshal(d.Factory)
	}
	return strict.Marshal(d.Group)
}

// UnmarshalCBOR decodes an array or a text.
func (d *Devices) UnmarshalCBOR(raw []byte) error {
	if len(raw) > 0 && raw[0]>>5 == majorText {
		return strict.Unmarshal(raw, &d.Group)
	}
	return strict.Unmarshal(raw, &d.Factory)
}

var _ interface {
	cbor.Marshaler
	cbor.Unmarshaler
} = (*Devices)(nil)

const majorText = 3 // the major type of text strings (RFC 8949 §3.1)

// Names reports whether the mandate speaks of a device, by its factory certificate and
// the common name in that: it lists the one, or has a prefix of the other. A group by
// name names every device: who is in it, the outgoing provider knows, not the mandate.
func (m *Mandate) Names(factory Hash, subject string) bool {
	if len(m.Devices.Factory) > 0 {
		return slices.Contains(m.Devices.Factory, factory)
	}
	prefix, ok := strings.CutSuffix(m.Devices.Group, anyRest)
	return !ok || strings.HasPrefix(subject, prefix)
}

// Orders reports whether the mandate is to move devices between these providers, in no
// time but its own.
func (m *Mandate) Orders(from, to string, w Window) bool {
	return m.From == from && m.To == to && w.Within(m.Window)
}

// NeedsAttestation reports whether remote attestation is demanded.
func (m *Mandate) NeedsAttestation() bool { return m.Attestation != nil && *m.Attestation }

// MayKeepApplication reports whether a device may keep its application's data.
func (m *Mandate) MayKeepApplication() bool { return m.KeepApplication != nil && *m.KeepApplication }

// SequenceLimit returns the highest SUIT sequence number acceptable.
func (m *Mandate) SequenceLimit() uint64 {
	if m.MaxSequence == nil {
		return math.MaxUint32
	}
	return *m.MaxSequence
}

// AsStrictAs reports whether a later mandate demands no less than the first.
func (m *Mandate) AsStrictAs(first *Mandate) bool {
	return (m.NeedsAttestation() || !first.NeedsAttestation()) && m.SequenceLimit() <= first.SequenceLimit() &&
		(!m.MayKeepApplication() || first.MayKeepApplication())
}

var mandateKind = kind[Mandate]{
	aad: "steward/mandate/1", limit: MaxBatch, tagged: true, validate: (*Mandate).validate,
}

func (m *Mandate) validate() error {
	if len(m.Devices.Factory) == 0 && m.Devices.Group == "" {
		return fmt.Errorf("transfer: mandate for no device: %w", ErrValue)
	}
	if len(m.Devices.Factory) > MaxDevices || len(m.Devices.Group) > maxText {
		return fmt.Errorf("transfer: mandate for too many devices: %w", ErrValue)
	}
	return firstError(
		validateText("issuer", m.Issuer),
		validateText("outgoing provider", m.From),
		validateText("incoming provider", m.To),
		validateID("mandate's id", m.ID),
		validateTime("issue time", m.IssuedAt),
		validateTime("expiry", m.Expires),
		m.Window.validate(),
	)
}

// Sign returns the mandate signed by the service user.
func (m Mandate) Sign(by Signer) ([]byte, error) { return mandateKind.sign(m, by) }

// ParseMandate reads a mandate whose signature is not checked.
func ParseMandate(raw []byte) (*Signed[Mandate], error) {
	signed, _, err := mandateKind.parse(raw)
	return signed, err
}

// VerifyMandate reads a mandate and checks that by has signed it. Whether it is
// in force is for the caller to ask.
func VerifyMandate(raw []byte, by *x509.Certificate) (*Signed[Mandate], error) {
	return mandateKind.verify(raw, by)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
