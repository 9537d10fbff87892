package attest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"fmt"

	"steward/suit/cose"
)

// EvidenceProfile names the claims of Evidence (RFC 9711 §4.3.2).
const EvidenceProfile = "tag:steward.example,2026:evidence/1"

// evidenceAAD keeps signatures of evidence from serving as anything else.
const evidenceAAD = "steward/evidence/1"

// FormatComponent is the Content-Format of a measurement: application/cbor. What
// it holds, the profile says: one Component.
const FormatComponent uint64 = 60

// ueidRandom begins a UEID that is a random number or a hash (RFC 9711 §4.2.1.1).
const ueidRandom = 0x01

// Debug is the state of debug facilities (RFC 9711 §4.2.9).
type Debug uint64

// The states of debug facilities.
const (
	DebugEnabled       Debug = 0
	DebugDisabled      Debug = 1
	DebugDisabledBoot  Debug = 2 // disabled since boot
	DebugDisabledFixed Debug = 3 // permanently, but for the manufacturer
	DebugDisabledFull  Debug = 4
)

// A Digest is a hash with its algorithm (COSE_CertHash, RFC 9360 §2). Algorithm
// -16 is SHA-256.
type Digest struct {
	_         struct{} `cbor:",toarray"`
	Algorithm int64
	Value     []byte
}

// Equal reports whether both are the same hash by the same algorithm.
func (d Digest) Equal(o Digest) bool {
	return d.Algorithm == o.Algorithm && bytes.Equal(d.Value, o.Value)
}

// A Component is what was measured of one component: what it holds now, and the
// manifest that put it there.
type Component struct {
	ID       []byte  `cbor:"1,keyasint"` // SUIT component identifier, encoded
	Digest   Digest  `cbor:"2,keyasint"`
	Manifest *Digest `cbor:"3,keyasint,omitempty"` // nil: what the factory put there
	Sequence uint64  `cbor:"4,keyasint"`           // of the manifest
}

// Evidence is what a device says of itself.
type Evidence struct {
	Nonce     []byte
	Device    Hash             // of the factory certificate; the UEID
	Key       *ecdsa.PublicKey // to be certified, or certified already (claim cnf)
	OEMBoot   bool             // only the manufacturer's images boot
	Debug     Debug
	BootCount uint64
	// Components are all that the device can update.
	Components []Component
	// Message names the TransferMessage that led the device here; zero: none.
	Message Hash
	// Truststore is the digest of the anchors; zero: not said.
	Truststore Hash
}

type wireEvidence struct {
	Confirmation wireConfirmation  `cbor:"8,keyasint"`
	Nonce        []byte            `cbor:"10,keyasint"`
	UEID         []byte            `cbor:"256,keyasint"`
	OEMBoot      bool              `cbor:"262,keyasint"`
	Debug        Debug             `cbor:"263,keyasint"`
	Profile      string            `cbor:"265,keyasint"`
	BootCount    uint64            `cbor:"267,keyasint"`
	Measurements []wireMeasurement `cbor:"273,keyasint"`
	Terms        wireTerms         `cbor:"-65537,keyasint"`
}

type wireConfirmation struct {
	Key coseKey `cbor:"1,keyasint"` // RFC 8747 §3.2
}

type wireMeasurement struct {
	_      struct{} `cbor:",toarray"`
	Format uint64
	Body   []byte
}

type wireTerms struct {
	Message    Hash `cbor:"22,keyasint,omitzero"`
	Truststore Hash `cbor:"27,keyasint,omitzero"`
}

// Sign returns the evidence signed by the attestation key, which must be one on
// P-256. It returns ErrKey or ErrValue.
func (e Evidence) Sign(key crypto.Signer) ([]byte, error) {
	wire, err := e.wire()
	if err != nil {
		return nil, err
	}
	payload, err := encode(wire)
	if err != nil {
		return nil, err
	}
	return sign(key, nil, payload, evidenceAAD, MaxEvidence)
}

func (e Evidence) wire() (*wireEvidence, error) {
	key, err := coseKeyOf(e.Key)
	if err != nil {
		return nil, err
	}
	w := &wireEvidence{
		Confirmation: wireConfirmation{key}, Nonce: e.Nonce, UEID: append([]byte{ueidRandom}, e.Device[:]...),
		OEMBoot: e.OEMBoot, Debug: e.Debug, Profile: EvidenceProfile, BootCount: e.BootCount,
		Terms: wireTerms{Message: e.Message, Truststore: e.Truststore},
	}
	for _, c := range e.Components {
		body, err := encode(c)
		if err != nil {
			return nil, err
		}
		w.Measurements = append(w.Measurements, wireMeasurement{Format: FormatComponent, Body: body})
	}
	return w, e.validate()
}

func (e *Evidence) validate() error {
	claims := []claim{
		{len(e.Nonce) >= minNonce && len(e.Nonce) <= maxNonce, "nonce"},
		{e.Device != Hash{}, "device"},
		{e.Debug <= DebugDisabledFull, "debug status"},
		{len(e.Components) > 0 && len(e.Components) <= MaxComponents, "number of components"},
	}
	for i, c := range e.Components {
		claims = append(claims,
			claim{len(c.ID) > 0 && len(c.ID) <= maxComponent, "component"},
			claim{c.Digest.sound() && (c.Manifest == nil || c.Manifest.sound()), "digest"})
		for _, before := range e.Components[:i] {
			claims = append(claims, claim{!bytes.Equal(before.ID, c.ID), "component named twice"})
		}
	}
	return refuse(claims)
}

func (d Digest) sound() bool { return len(d.Value) > 0 && len(d.Value) <= maxDigest }

// ParseEvidence reads evidence whose signature is not checked. It returns
// ErrTooLarge, ErrSyntax, ErrProfile, ErrKey or ErrValue.
func ParseEvidence(raw []byte) (*Evidence, error) {
	e, _, err := parseEvidence(raw)
	return e, err
}

// VerifyEvidence reads evidence and checks that the attestation key has signed it.
// It returns ErrSignature beside the errors of ParseEvidence.
func VerifyEvidence(raw []byte, key *ecdsa.PublicKey) (*Evidence, error) {
	e, message, err := parseEvidence(raw)
	if err != nil {
		return nil, err
	}
	return e, verify(message, key, evidenceAAD)
}

func parseEvidence(raw []byte) (*Evidence, *cose.Sign1, error) {
	message, err := parse(raw, MaxEvidence)
	if err != nil {
		return nil, nil, err
	}
	var w wireEvidence
	if err := decode(message.Payload, &w); err != nil {
		return nil, nil, err
	}
	if w.Profile != EvidenceProfile {
		return nil, nil, fmt.Errorf("attest: %.64q: %w", w.Profile, ErrProfile)
	}
	if len(w.UEID) != 1+len(Hash{}) || w.UEID[0] != ueidRandom {
		return nil, nil, fmt.Errorf("attest: ueid: %w", ErrValue)
	}
	e := &Evidence{
		Nonce: w.Nonce, Device: Hash(w.UEID[1:]), OEMBoot: w.OEMBoot, Debug: w.Debug, BootCount: w.BootCount,
		Message: w.Terms.Message, Truststore: w.Terms.Truststore,
	}
	if e.Key, err = w.Confirmation.Key.public(); err != nil {
		return nil, nil, err
	}
	for _, m := range w.Measurements {
		var c Component
		if m.Format != FormatComponent {
			return nil, nil, fmt.Errorf("attest: measurement in format %d: %w", m.Format, ErrValue)
		}
		if err := decode(m.Body, &c); err != nil {
			return nil, nil, err
		}
		e.Components = append(e.Components, c)
	}
	return e, message, e.validate()
}
