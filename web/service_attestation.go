package web

import (
	"context"
	"time"
)

// Attestations says what devices have proved of what they run.
type Attestations interface {
	// Attestation returns what is known of a device: its attestation key, and the
	// verdicts on it. A device whose key is not known is no error.
	Attestation(ctx context.Context, device string) (Attestation, error)
	// SetAttestation makes the attestation key of a device known, in place of the one
	// before. It returns ErrInvalid for a key that is not on P-256, and ErrConflict for
	// a device without a factory certificate.
	SetAttestation(ctx context.Context, by Actor, device string, n NewAttestation) (Attestation, error)
	// Attest has a device that is registered prove now what it runs, and returns what
	// came of it. It returns ErrConflict for a device whose key is not known, or that
	// cannot attest, and ErrUnavailable for one that cannot be asked now.
	Attest(ctx context.Context, by Actor, device string) (Attestation, error)
}

// A NewAttestation is how a device will prove what it runs.
type NewAttestation struct {
	Key []byte `json:"key"` // public key on P-256: SubjectPublicKeyInfo, PEM or DER
	// References are the digests of what the factory put into the device.
	References Array[AttestationReference] `json:"references"`
}

// An AttestationReference is a digest that a component may have.
type AttestationReference struct {
	Component string `json:"component,omitempty"` // SUIT component identifier, hex; "" any
	SHA256    string `json:"sha256"`              // hex
}

// An Attestation is what is known of a device.
type Attestation struct {
	Device     string                      `json:"device"`
	Key        string                      `json:"key_spki,omitempty"` // hex SHA-256; "" not known
	KnownAt    time.Time                   `json:"known_at,omitzero"`
	References Array[AttestationReference] `json:"references"`      // in force now
	BootCount  uint64                      `json:"boot_count"`      // the highest seen
	Verdicts   Array[Verdict]              `json:"verdicts"`        // the newest first
	Round      *AttestationRound           `json:"round,omitempty"` // nil: never judged, and by no rule
}

// A Verdict is what the verifier said of a device.
type Verdict struct {
	At       time.Time `json:"at"`
	Tier     string    `json:"tier"` // affirming, warning, contraindicated, none
	Level    Level     `json:"level"`
	Reason   string    `json:"reason"`
	Issuer   string    `json:"issuer"`             // the provider whose verifier it is
	Transfer string    `json:"transfer,omitempty"` // that it was given for
	COSE     []byte    `json:"cose"`               // as signed
}

func (missing) Attestation(context.Context, string) (Attestation, error) {
	return Attestation{}, ErrNotBuilt
}

func (missing) Attest(context.Context, Actor, string) (Attestation, error) {
	return Attestation{}, ErrNotBuilt
}

func (missing) SetAttestation(context.Context, Actor, string, NewAttestation) (Attestation, error) {
	return Attestation{}, ErrNotBuilt
}
