package rollout

import (
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/machine"
)

// Errors of approvals.
var (
	// ErrUnapproved reports a release that no campaign may deliver: a draft, or one
	// that was withdrawn.
	ErrUnapproved = errors.New("release is not approved")
	// ErrApprover reports an approval by the person who added the release, where
	// somebody else could give it.
	ErrApprover = errors.New("another person must approve")
	// ErrDecided reports a decision that the state of a release does not allow.
	ErrDecided = errors.New("release is decided")
)

// A ReleaseState says whether a release may go to devices.
type ReleaseState string

// The states of a release.
const (
	ReleaseDraft     ReleaseState = "draft"     // added, seen by nobody else
	ReleaseApproved  ReleaseState = "approved"  // may be delivered
	ReleaseWithdrawn ReleaseState = "withdrawn" // never again
)

// A ReleaseEvent is a decision about a release.
type ReleaseEvent string

// The decisions.
const (
	ApproveRelease  ReleaseEvent = "approve"
	WithdrawRelease ReleaseEvent = "withdraw"
)

// ReleaseTable is the machine of a release. It starts in ReleaseDraft. What is
// withdrawn stays so: a corrected image is another release, with a higher
// sequence number. The runner aborts jobs of a withdrawn release.
var ReleaseTable = machine.Table[ReleaseState, ReleaseEvent, JobEffect]{
	{From: ReleaseDraft, On: ApproveRelease, To: ReleaseApproved},
	{From: ReleaseDraft, On: WithdrawRelease, To: ReleaseWithdrawn},
	{From: ReleaseApproved, On: WithdrawRelease, To: ReleaseWithdrawn},
}

// A Decision is one step in the life of a release after it was added.
type Decision struct {
	On     ReleaseEvent
	To     ReleaseState
	By     string
	Reason string // in words; may be empty
	At     time.Time
}

// Decide returns what the decision on of a person does to r. people is how many
// could approve at this moment: with more than one, nobody approves a release
// that they added. It returns ErrDecided or ErrApprover.
func (r Release) Decide(on ReleaseEvent, by, reason string, people int, now time.Time) (Decision, error) {
	row, err := ReleaseTable.Step(r.State, on)
	if err != nil {
		return Decision{}, fmt.Errorf("%w: it is %s", ErrDecided, r.State)
	}
	if on == ApproveRelease && people > 1 && audit.SamePerson(by, r.CreatedBy) {
		return Decision{}, ErrApprover
	}
	return Decision{On: on, To: row.To, By: by, Reason: reason, At: now}, nil
}

// Deliverable returns nil if campaigns may deliver r, or ErrUnapproved.
func (r Release) Deliverable() error {
	if r.State != ReleaseApproved {
		return fmt.Errorf("%w: it is %s", ErrUnapproved, r.State)
	}
	return nil
}
