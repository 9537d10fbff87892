package web

import (
	"context"
	"time"
)

// Factories lets devices in: the factory authorities that are trusted, and the
// single devices that are expected.
type Factories interface {
	// FactoryAuthorities returns the listed factory CAs.
	FactoryAuthorities(ctx context.Context) ([]FactoryAuthority, error)
	// AddFactoryAuthority lists the CA certificate (PEM or DER) of a factory.
	AddFactoryAuthority(ctx context.Context, by Actor, certificate []byte) (FactoryAuthority, error)
	// ImportDevice makes a device known by its factory certificate, or lets one
	// without a certificate in by other means. It is idempotent for the same
	// certificate and returns ErrConflict when the endpoint belongs to another.
	ImportDevice(ctx context.Context, by Actor, d NewDevice) (Device, error)
	// ImportDevices does so for each of a list, and tells of each what became of it.
	// It returns ErrInvalid for more than MaxImport of them.
	ImportDevices(ctx context.Context, by Actor, list []NewDevice) ([]ImportedDevice, error)
}

// A FactoryAuthority is a CA whose device certificates count as factory
// certificates here.
type FactoryAuthority struct {
	ID       string    `json:"id"` // hex SHA-256 of the certificate
	Subject  string    `json:"subject"`
	NotAfter time.Time `json:"not_after"`
	AddedAt  time.Time `json:"added_at"`
}

// A NewDevice is a device that an operator expects.
type NewDevice struct {
	// Certificate is the factory certificate (PEM or DER). With it the device may
	// enrol here once, unless NoRight.
	Certificate []byte `json:"certificate,omitempty"`
	// Endpoint is needed without a certificate. Such a device comes by a pre-shared
	// key, which it is given afterwards, or without security.
	Endpoint string        `json:"endpoint,omitempty"`
	NoRight  bool          `json:"no_right,omitempty"` // known only; the right to enrol comes otherwise
	NoSec    bool          `json:"nosec,omitempty"`    // may register without security
	Tags     Array[string] `json:"tags,omitempty"`
	// KeyOrigin says who made the key of the factory certificate: device, provider or
	// ca; "" for not known, or what was told before.
	KeyOrigin string `json:"key_origin,omitempty"`
	// Attestation is how the device will prove what it runs; nil: it cannot, or what
	// was told before stays.
	Attestation *NewAttestation `json:"attestation,omitempty"`
}

// MaxImport is how many devices one call may import.
const MaxImport = 1000

// An ImportedDevice says what became of one of a list.
type ImportedDevice struct {
	// Endpoint and ID are those of the device; "" for one that is refused.
	Endpoint string `json:"endpoint,omitempty"`
	ID       string `json:"id,omitempty"`
	// EnrollURI is where a device with a certificate enrols: what the provider of
	// before, or its factory, tells it.
	EnrollURI string `json:"enroll_uri,omitempty"`
	// Error is why it is refused; "" for one that is known now.
	Error string `json:"error,omitempty"`
}
