package enrol

import (
	"context"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// A Store keeps enrolments and knows which certificates were issued.
// Implementations are safe for concurrent use; enroltest.TestStore says what they
// must do.
type Store interface {
	// Enrolment returns that of a device, or ErrUnknown.
	Enrolment(ctx context.Context, device fleet.ID) (Enrolment, error)
	// Due returns up to limit enrolments with a Due up to until, in order of Due and
	// Device, after the given one; the zero Enrolment is before all.
	Due(ctx context.Context, until time.Time, after Enrolment, limit int) ([]Enrolment, error)
	// Issued returns up to limit operational certificates that were issued after the
	// last Position stored, in that order.
	Issued(ctx context.Context, limit int) ([]Issuance, error)
	// Counts returns how many enrolments are in each state other than Good; states
	// without any are missing.
	Counts(ctx context.Context) (map[State]int, error)
	// Commit applies ch in one transaction, or nothing of it. It returns ErrConflict
	// if an enrolment's Version is not the stored one any more; 0 inserts.
	Commit(ctx context.Context, ch Change) error
}

// A Change is what one transaction writes.
type Change struct {
	// Enrolments are stored with Version one higher.
	Enrolments []Enrolment
	Audit      []audit.Row
	Position   int64 // of the last Issuance taken over; 0: as before
}
