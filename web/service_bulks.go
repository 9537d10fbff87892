package web

import (
	"context"
	"time"
)

// Bulks does one thing to many devices. What it does goes by the services for single
// devices, so that each device is judged, and audited, as if it were the only one.
type Bulks interface {
	// PreviewBulk says whom b would reach, and does nothing; without an action, whom it
	// means. It returns ErrInvalid for what can never be done, for no device, and for
	// more than MaxBulk.
	PreviewBulk(ctx context.Context, by Actor, b NewBulk) (BulkPreview, error)
	// StartBulk begins b and returns at once; it goes on when who asked waits no
	// longer. It returns ErrForbidden where by may not do so to a single device.
	StartBulk(ctx context.Context, by Actor, b NewBulk) (Bulk, error)
	// DecideBulk approves or rejects one in state review, the revocation of many: another
	// person than who asked approves (ErrForbidden). It returns ErrConflict where there
	// is nothing to decide.
	DecideBulk(ctx context.Context, by Actor, id string, d BulkDecision) (Bulk, error)
	// ListBulks returns the last ones, the newest first; older ones are forgotten.
	ListBulks(ctx context.Context, p Page) (List[Bulk], error)
	// Bulk returns one.
	Bulk(ctx context.Context, id string) (Bulk, error)
	// BulkResults returns what became of each device, in order of their ids.
	BulkResults(ctx context.Context, id string, f BulkFilter, p Page) (List[BulkResult], error)
}

// MaxBulk is how many devices one of them takes: a mistake reaches no more.
const MaxBulk = 10000

// A BulkAction says what is done to each device.
type BulkAction string

// The actions. Those on devices are operations that wait for devices which sleep.
const (
	BulkTag     BulkAction = "tag"
	BulkUntag   BulkAction = "untag"
	BulkGroup   BulkAction = "group" // put into a static group
	BulkUngroup BulkAction = "ungroup"
	BulkRead    BulkAction = "read"
	BulkWrite   BulkAction = "write"
	BulkExecute BulkAction = "execute"
	BulkRevoke  BulkAction = "revoke" // their live certificates

	BulkAttest    BulkAction = "attest"    // each proves now what it runs
	BulkReconcile BulkAction = "reconcile" // observations: see Observations.Reconcile
)

// BulkActions lists them.
func BulkActions() []BulkAction {
	return []BulkAction{
		BulkTag, BulkUntag, BulkGroup, BulkUngroup, BulkRead, BulkWrite, BulkExecute, BulkReconcile, BulkAttest, BulkRevoke,
	}
}

// Destructive reports whether the action needs to be confirmed with the number of
// devices.
func (a BulkAction) Destructive() bool { return a == BulkExecute || a == BulkWrite || a == BulkRevoke }

// RoleFor returns who may do so.
func (a BulkAction) RoleFor() Role {
	if a == BulkRevoke {
		return RoleSecurity
	}
	return RoleOperator
}

// A NewBulk says what is done to whom: to Devices, or if there are none to all that
// Filter selects.
type NewBulk struct {
	Action  BulkAction    `json:"action"`
	Devices Array[string] `json:"devices,omitempty"` // ids
	Filter  string        `json:"filter,omitempty"`  // a DeviceFilter as the query of an address
	All     bool          `json:"all,omitempty"`     // an empty Filter is meant: all devices

	Tag       string `json:"tag,omitempty"`
	Group     string `json:"group,omitempty"`
	Path      string `json:"path,omitempty"`      // read, write, execute
	Value     string `json:"value,omitempty"`     // write: as people type it
	Arguments string `json:"arguments,omitempty"` // execute
	Reason    string `json:"reason,omitempty"`
}

// A BulkPreview says whom it would reach.
type BulkPreview struct {
	Total  int           `json:"total"`
	States Counts        `json:"states"` // devices by their state
	First  Array[Device] `json:"first"`  // some of them
	What   string        `json:"what"`   // is done, in words
}

// A Bulk is one that began.
type Bulk struct {
	ID        string     `json:"id"`
	Action    BulkAction `json:"action"`
	What      string     `json:"what"`
	Reason    string     `json:"reason,omitempty"`
	By        string     `json:"by"`
	State     string     `json:"state"` // review, running, done, rejected, interrupted (the server stopped)
	Level     Level      `json:"level"`
	Total     int        `json:"total"`
	Done      int        `json:"done"`
	Failed    int        `json:"failed"`
	CreatedAt time.Time  `json:"created_at"`
	EndedAt   time.Time  `json:"ended_at,omitzero"`
}

// A BulkDecisionAction is what people decide about one that waits for approval.
type BulkDecisionAction string

// The decisions.
const (
	BulkApprove BulkDecisionAction = "approve"
	BulkReject  BulkDecisionAction = "reject" // also by who asked for it
)

// A BulkDecision is a decision with its reason.
type BulkDecision struct {
	Action BulkDecisionAction `json:"action"`
	Reason string             `json:"reason,omitempty"`
}

// A BulkFilter selects results. Its zero value selects all.
type BulkFilter struct {
	State string // done, failed, open; "" for all
}

// A BulkResult is what became of one device.
type BulkResult struct {
	Device    string `json:"device"`
	Endpoint  string `json:"endpoint"`
	State     string `json:"state"` // done, failed, open: not yet, or nobody knows
	Detail    string `json:"detail,omitempty"`
	Operation string `json:"operation,omitempty"` // id of what the device was asked
	Progress  string `json:"progress,omitempty"`  // state of that operation now
}

func (missing) PreviewBulk(context.Context, Actor, NewBulk) (BulkPreview, error) {
	return BulkPreview{}, ErrNotBuilt
}

func (missing) StartBulk(context.Context, Actor, NewBulk) (Bulk, error) { return Bulk{}, ErrNotBuilt }

func (missing) DecideBulk(context.Context, Actor, string, BulkDecision) (Bulk, error) {
	return Bulk{}, ErrNotBuilt
}

func (missing) ListBulks(context.Context, Page) (List[Bulk], error) { return List[Bulk]{}, ErrNotBuilt }

func (missing) Bulk(context.Context, string) (Bulk, error) { return Bulk{}, ErrNotBuilt }

func (missing) BulkResults(context.Context, string, BulkFilter, Page) (List[BulkResult], error) {
	return List[BulkResult]{}, ErrNotBuilt
}
