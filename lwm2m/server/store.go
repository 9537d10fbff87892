package server

import (
	"context"
	"errors"

	"steward/lwm2m/fleet"
)

// ErrNotRegistered reports a device without a registration.
var ErrNotRegistered = errors.New("device is not registered")

// A Store keeps what outlives the process. Implementations are safe for
// concurrent use.
type Store interface {
	Registrations
	Values
	Profiles
}

// Profiles keeps what profile ids stand for.
type Profiles interface {
	// KeepProfile stores p in place of that with the same id, and forgets the oldest
	// beyond MaxProfiles.
	KeepProfile(ctx context.Context, p LearnedProfile) error
	// EachProfile calls fn with all, the oldest first. fn must not call the Store.
	EachProfile(ctx context.Context, fn func(LearnedProfile)) error
}

// Registrations keeps one registration a device.
type Registrations interface {
	// Register stores r in place of any registration of the same device, with its
	// audit row, and returns after both are durable.
	Register(ctx context.Context, r Registration) error
	// Update stores the changed r with its audit row. It returns ErrNotRegistered if
	// r.ID is gone.
	Update(ctx context.Context, r Registration) error
	// Refresh stores signs of life, without audit rows. It leaves out, without an
	// error, those of registrations that are gone, or that were stored as of the same
	// or a later UpdatedAt.
	Refresh(ctx context.Context, signs []Refresh) error
	// Remove deletes the registration r.ID of r.Device and writes its audit row with actor and
	// reason. It returns ErrNotRegistered if the registration is gone already.
	Remove(ctx context.Context, r Registration, actor, reason string) error
	// EachRegistration calls fn with every registration, in any order. fn must not
	// call the Store.
	EachRegistration(ctx context.Context, fn func(Registration)) error
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
	// Record stores the last known values, but not those that are Past. One that
	// arrived before that which is stored is left out. It may keep all of them as
	// the history of their resources.
	Record(ctx context.Context, reports []Report) error
	// Want notes that a target is to be observed, with its attributes in place of
	// earlier ones, or no longer, whatever its attributes are; with an audit row if
	// that is news.
	Want(ctx context.Context, device fleet.ID, t Target, on bool, actor string) error
	// Wanted returns what is to be observed, in order of Target.Names, each once: what
	// is wanted of the device itself goes before what a template wants.
	Wanted(ctx context.Context, device fleet.ID) ([]Wish, error)
}

// A Wish is one observation that is wanted of a device.
type Wish struct {
	Target

	Template string // that wants it; "": it is wanted of this device
}
