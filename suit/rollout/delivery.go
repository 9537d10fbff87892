package rollout

import (
	"context"

	"steward/lwm2m/fleet"
	"steward/objects"
)

// An Order is one device of a campaign, as those who deliver see it.
type Order struct {
	Campaign       string
	Device         fleet.ID
	Release        Release
	Delivery       Delivery
	BytesPerSecond int64 // of the whole campaign; 0: no bound
}

// A Status is where a device says its update stands. Objects 5 and 33629 have the
// same states; 33629 has results beyond.
type Status struct {
	State  objects.FirmwareState
	Result int
	Reason string // in words, beyond what Result says; may be empty
}

// A Deliverer leads one device through an update by the object that it has. It
// returns ErrUnreachable or ErrRefused. Every method may be called again after a
// crash: it does what is not done yet.
type Deliverer interface {
	// Check says why the device cannot take the release, in words; nothing if it
	// can. Nothing is sent that changes the device.
	Check(ctx context.Context, o Order) ([]string, error)
	// Status asks the device.
	Status(ctx context.Context, o Order) (Status, error)
	// Prepare observes the device's state and clears what an earlier update left.
	Prepare(ctx context.Context, o Order, s Status) error
	// Deliver sends the envelope, or where it is.
	Deliver(ctx context.Context, o Order) error
	// Execute installs.
	Execute(ctx context.Context, o Order) error
	// Version returns the version that the device runs.
	Version(ctx context.Context, o Order) (string, error)
}
