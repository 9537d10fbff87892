// Package fleet says what a device is, whatever protocol speaks to it: an id
// local to this provider, the hash of its factory certificate, and its names.
package fleet

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"steward/lwm2m"
)

// Errors of a Store.
var (
	ErrUnknown  = errors.New("unknown device")
	ErrConflict = errors.New("endpoint or factory certificate belongs to another device")
)

// An ID is a ULID, made when a device is first mentioned and never reused.
// It stands in all URLs of this provider and means nothing to another.
type ID string

// A Factory is the SHA-256 of a factory certificate's DER. It is what identifies
// a device between providers; zero means a device that has none.
type Factory [32]byte

// Short returns the hex of the first 16 bytes, which names the device in the
// provider-to-provider API (x5t of the transfer protocol).
func (f Factory) Short() string { return hex.EncodeToString(f[:16]) }

// An Ownership says whether this provider looks after a device.
type Ownership string

// The states of ownership. A device that was handed over stays as a row: it may
// come back, and then finds it again.
const (
	Expected Ownership = "expected" // announced, not yet enrolled or registered here
	Owned    Ownership = "owned"
	Left     Ownership = "left" // handed over to another provider
)

// A Device is what all parts of Steward mean by one.
type Device struct {
	ID        ID
	Factory   Factory // zero: none
	Endpoint  lwm2m.Endpoint
	Ownership Ownership
	NoSec     bool     // an operator allowed it to register without security
	Tags      []string // sorted
	CreatedAt time.Time
}

// A Store keeps devices. Implementations are safe for concurrent use.
type Store interface {
	// Device returns ErrUnknown if there is none with that id.
	Device(ctx context.Context, id ID) (Device, error)
	// ByFactory returns ErrUnknown if no device has that certificate.
	ByFactory(ctx context.Context, f Factory) (Device, error)
	// ByEndpoint returns ErrUnknown if no device has that name.
	ByEndpoint(ctx context.Context, e lwm2m.Endpoint) (Device, error)
	// Put stores a device, new (ID chosen by the caller) or changed, with an audit
	// row naming actor. It returns ErrConflict if the factory certificate or
	// endpoint belongs to another id.
	Put(ctx context.Context, d Device, actor, reason string) error
	// List returns up to limit devices after the given id in order of ids; an
	// empty id starts at the beginning.
	List(ctx context.Context, after ID, limit int) ([]Device, error)
}
