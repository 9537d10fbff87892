package bootstrap

import (
	"context"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
)

// A Report is the trace of a device's bootstrap, for people. It holds no values
// that were written, for keys are among them.
type Report struct {
	Device   fleet.ID
	Endpoint lwm2m.Endpoint
	Address  string
	Version  lwm2m.Version // as Discover told; "" before
	State    State
	Reason   string // in words, of a failure
	Steps    []Step
	Pack     bool // answered by a Bootstrap-Pack: what the device made of it is not known

	StartedAt, EndedAt time.Time // EndedAt is zero while it runs
}

// A Step is one exchange.
type Step struct {
	At     time.Duration // since the start
	What   string        // "Write /0/1"
	Answer string        // "2.04", or why there is none
	Note   string        // in words; "" mostly
}

// maxSteps bounds a trace: a device that holds very much is cut.
const maxSteps = 256

// add notes an exchange.
func (r *Report) add(now time.Time, what, answer, note string) {
	if len(r.Steps) < maxSteps {
		r.Steps = append(r.Steps, Step{At: now.Sub(r.StartedAt), What: what, Answer: answer, Note: note})
	}
}

// A Store keeps the newest report of each device. Implementations are safe for
// concurrent use.
type Store interface {
	// Keep stores r in place of the device's earlier report. One that is new or
	// over has an audit row in the same transaction.
	Keep(ctx context.Context, r Report) error
	// Last returns a device's report; its State is "" if there is none.
	Last(ctx context.Context, device fleet.ID) (Report, error)
	// Interrupt makes every report that is not over Failed, with reason and an audit
	// row each.
	Interrupt(ctx context.Context, now time.Time, reason string) error
}
