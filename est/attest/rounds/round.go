package rounds

import (
	"context"
	"errors"
	"hash/fnv"
	"time"

	"steward/est/attest"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// The bounds of an interval. Nonces live five minutes and failures are repeated for
// some; beyond a year nobody remembers the rule.
const (
	MinInterval = 10 * time.Minute
	MaxInterval = 366 * 24 * time.Hour
)

// The errors of a Store, and of what is made of it.
var (
	// ErrUnknown reports a device that does not exist.
	ErrUnknown = errors.New("no such device")
	// ErrConflict reports a Round that changed meanwhile.
	ErrConflict = errors.New("the round changed meanwhile")
	// ErrOptions reports Options that New refuses.
	ErrOptions = errors.New("unusable options of rounds of attestation")
)

// Errors of Options.Ask.
var (
	// ErrSilent reports a device that cannot be asked now: it sleeps, or is away.
	ErrSilent = errors.New("the device cannot be asked now")
)

// A Round is how a device stands with its proofs.
type Round struct {
	Device fleet.ID
	State  State
	Since  time.Time // when it came into State; zero: it never changed
	// Wanted is what the rules say now, Interval what the round was planned by; zero:
	// the device is not asked.
	Wanted, Interval time.Duration
	Due              time.Time // of the next question; zero: none is planned
	Waiting          bool      // the time has come; the device is asked when it listens
	Tries            int       // that failed since the last verdict
	Why              string    // the last failure in words; "": none
	Tier             attest.Tier
	Reason           string    // of the last verdict
	JudgedAt         time.Time // zero: there was none
	Version          uint64    // 0: not stored yet
}

// A Store keeps rounds. Implementations are safe for concurrent use;
// roundstest.TestStore says what they must do.
type Store interface {
	// Round returns that of a device, with Wanted as the rules have it; a new one if
	// none is stored. It returns ErrUnknown for a device that does not exist.
	Round(ctx context.Context, device fleet.ID) (Round, error)
	// Due returns up to limit rounds in order of their Due.
	Due(ctx context.Context, limit int) ([]Round, error)
	// Waiting returns up to limit devices that are Waiting, in order of their ids, after
	// the given one.
	Waiting(ctx context.Context, after fleet.ID, limit int) ([]fleet.ID, error)
	// Provable returns up to limit devices whose attestation key is known, or that have
	// a round, in order of their ids, after the given one.
	Provable(ctx context.Context, after fleet.ID, limit int) ([]fleet.ID, error)
	// Ruled reports whether there is any rule.
	Ruled(ctx context.Context) (bool, error)
	// Commit stores r with Version one higher, and the rows. It returns ErrConflict if
	// Version is not the stored one any more.
	Commit(ctx context.Context, r Round, rows ...audit.Row) error
}

// plan sets when the device is asked next: at its own moment of the interval, which
// spreads the fleet, but not before least has passed.
func (r *Round) plan(now time.Time, least time.Duration) {
	r.Interval, r.Waiting, r.Due = r.Wanted, false, time.Time{}
	if r.Wanted > 0 {
		r.Due = moment(r.Device, r.Wanted, now.Add(least))
	}
}

// moment returns the first time after the given one that is the device's own in a
// grid of intervals.
func moment(device fleet.ID, interval time.Duration, after time.Time) time.Time {
	h := fnv.New64a()
	_, _ = h.Write([]byte(device))             // never fails
	own := int64(h.Sum64() % uint64(interval)) //nolint:gosec // below interval, which is positive
	behind := (after.UnixNano() - own) % int64(interval)
	return after.Add(interval - time.Duration(behind)).UTC().Truncate(time.Microsecond)
}

// settle notes a verdict.
func (r *Round) settle(v attest.Result, now time.Time) (move, error) {
	r.Tier, r.Reason, r.JudgedAt = v.Tier, v.Reason, v.At
	r.Tries, r.Why = 0, ""
	r.plan(now, r.Wanted/2)
	on := Deny
	if v.Tier == attest.TierAffirming {
		on = Affirm
	}
	return r.step(on, v.Tier.String()+": "+v.Reason, now)
}
