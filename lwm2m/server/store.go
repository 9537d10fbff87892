package server

import (
	"context"
	"errors"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
)

// ErrNotRegistered reports a device without a registration.
var ErrNotRegistered = errors.New("device is not registered")

// A Store keeps what outlives the process. Implementations are safe for
// concurrent use.
type Store interface {
	Registrations
	Values
}

// Registrations keeps one registration a device.
type Registrations interface {
	// Register stores r in place of any registration of the same device, with its
	// audit row, and returns after both are durable.
	Register(ctx context.Context, r Registration) error
	// Update stores the changed r. It returns ErrNotRegistered if r.ID is gone.
	// A refresh changes only times and address: it has no audit row.
	Update(ctx context.Context, r Registration, refresh bool) error
	// Remove deletes the registration and writes its audit row with actor and
	// reason. It returns ErrNotRegistered if the registration is gone already.
	Remove(ctx context.Context, id, actor, reason string) error
	// Registration returns that with the given id, or ErrNotRegistered.
	Registration(ctx context.Context, id string) (Registration, error)
	// OfDevice returns that of a device, or ErrNotRegistered.
	OfDevice(ctx context.Context, device fleet.ID) (Registration, error)
	// Expire removes and returns up to limit registrations whose ExpiresAt is
	// before now, the oldest first, each with its audit row. Whatever an Update
	// extends meanwhile stays.
	Expire(ctx context.Context, now time.Time, limit int) ([]Registration, error)
}

// A Source says how a value came to us.
type Source string

// The sources of values.
const (
	FromRead   Source = "read"
	FromNotify Source = "notify"
	FromSend   Source = "send"
	FromWrite  Source = "write" // what the device accepted
)

// Values keeps the last known value of each resource, and what is to be observed.
type Values interface {
	// Record stores the last known values; at is the time of arrival.
	Record(ctx context.Context, device fleet.ID, from Source, entries []lwm2m.Entry, at time.Time) error
	// Want notes that a path is, or is no longer, to be observed, with an audit row
	// if that is news.
	Want(ctx context.Context, device fleet.ID, p lwm2m.Path, on bool, actor string) error
	// Wanted returns the paths to be observed, in order.
	Wanted(ctx context.Context, device fleet.ID) ([]lwm2m.Path, error)
}
