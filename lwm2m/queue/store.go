package queue

import (
	"context"
	"errors"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// Errors of a Store and of a Queue.
var (
	// ErrUnknown reports an id that names no operation of the device.
	ErrUnknown = errors.New("unknown operation")
	// ErrConflict reports an operation that moved meanwhile.
	ErrConflict = errors.New("operation has moved meanwhile")
	// ErrFull reports that too much waits already, for the device or in all.
	ErrFull = errors.New("too many operations wait")
	// ErrSize reports an operation that is too large to wait.
	ErrSize = errors.New("operation is too large to wait for the device")
)

const (
	// MaxWaiting bounds what is not over of one device: more than people ask of a
	// device that they cannot reach.
	MaxWaiting = 64
	// MaxTotal bounds what is not over of all devices.
	MaxTotal = 100_000
	// MaxBody bounds the body of one that waits, and the result that is kept, in
	// bytes: together with MaxWaiting 4 MiB a device.
	MaxBody = 64 << 10
	// MaxKept bounds what is kept of a device of what is over.
	MaxKept = 100
)

// Replaced is why a write was cancelled that a later one took the place of.
const Replaced = "a later write took its place"

// A Filter selects operations. The zero value selects all, the newest first.
type Filter struct {
	Device  fleet.ID  // "": of all
	Open    bool      // only what is not over, the oldest first
	Expired time.Time // only what waits and expires by then; zero: all
	After   string    // only those that follow the operation with this id; "": all
	Limit   int       // at most so many; 0: all
}

// A Store keeps operations. Implementations are safe for concurrent use.
type Store interface {
	// Add stores a new operation and its audit row, if it has one. If o.Writes, and of
	// what waits for the device the last are writes, those of them for the same path
	// are Cancelled with Replaced as the reason and an audit row each; it returns their
	// ids. It returns ErrFull if the device has MaxWaiting that are not over, and keeps
	// MaxKept that are.
	Add(ctx context.Context, o Operation, row *audit.Row) (replaced []string, err error)
	// Set stores o in place of its Version before, with an audit row unless row is nil.
	// It returns ErrConflict if that is not what is stored.
	Set(ctx context.Context, o Operation, row *audit.Row) error
	// Operation returns one, or ErrUnknown.
	Operation(ctx context.Context, id string) (Operation, error)
	// Operations returns those that match.
	Operations(ctx context.Context, f Filter) ([]Operation, error)
	// Waiting returns how many that are Held are not over of each device that has any.
	Waiting(ctx context.Context) (map[fleet.ID]int, error)
	// Prune removes what was over before a time.
	Prune(ctx context.Context, before time.Time) error
}
