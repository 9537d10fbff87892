package coordinator

import (
	"context"
	"errors"
	"time"

	"steward/lwm2m/fleet"
	"steward/transfer"
)

// ErrUpdate reports a last update that cannot be brought to devices any more: the release
// was withdrawn, or the campaign cannot be.
var ErrUpdate = errors.New("the last update cannot be brought")

// A LastUpdate is the software that the outgoing provider brings to devices before they
// leave (transfer protocol §4, step 6). The zero LastUpdate is none.
type LastUpdate struct {
	Release  string // id
	Name     string // of the release, for people
	Campaign string // that brings it; "" before the devices are staged, and if none needs it
	Refused  string // in words, why it cannot be brought; "" if it can
}

// NewestRelease names, in a Draft, the newest release that is approved for the class of
// the devices.
const NewestRelease = "newest"

// Updates brings last updates to devices.
type Updates interface {
	// Choose returns the release of that id, or NewestRelease, for devices. It returns
	// ErrInvalid if there is none, it is not approved, or the devices are not of one class.
	Choose(ctx context.Context, release string, devices []fleet.ID) (LastUpdate, error)
	// Begin brings the release to those of the devices that do not run it yet, and returns
	// false if all run it. Called again it does what is not done. It returns ErrUpdate.
	Begin(ctx context.Context, o UpdateOrder) (bool, error)
	// Progress says how far a device is.
	Progress(ctx context.Context, u LastUpdate, device fleet.ID) (UpdateProgress, error)
	// Settled reports whether every device that can be reached has the update, or failed.
	Settled(ctx context.Context, u LastUpdate) (bool, error)
	// End leaves the devices alone that have not begun to install. One that has ended is no
	// error.
	End(ctx context.Context, u LastUpdate, reason string) error
}

// An UpdateOrder is a last update with what it is for.
type UpdateOrder struct {
	LastUpdate

	Note     string // for people
	Devices  []fleet.ID
	Drafter  string // who asked for it
	Approver string // who approved the hand-over, and it
}

// An UpdateState is how far a device is with a last update.
type UpdateState int

// The states.
const (
	UpdateWaits  UpdateState = iota // it is under way, or has not begun
	UpdateDone                      // the device reported success, or ran it before
	UpdateFailed                    // it was refused, failed, or was rolled back
)

// An UpdateProgress is such a state, with a reason in words.
type UpdateProgress struct {
	State  UpdateState
	Reason string
}

// choose settles the last update that a draft asks for.
func (c *Coordinator) choose(ctx context.Context, d Draft) (LastUpdate, error) {
	switch {
	case d.Update == "":
		return LastUpdate{}, nil
	case c.o.Updates == nil:
		return LastUpdate{}, refusedf(ErrInvalid, "updates are not brought here")
	}
	return c.o.Updates.Choose(ctx, d.Update, d.Devices)
}

// lastUpdated reports whether a device has had the last update of its transfer. It waits
// for the device's own word; one where it fails does not leave, and the others go on.
func (c *Coordinator) lastUpdated(ctx context.Context, s *step) (bool, error) {
	if s.t.Last.Release == "" || !switching(s.t.State) {
		return true, nil
	}
	p, err := c.o.Updates.Progress(ctx, s.t.Last, s.row.Device)
	switch {
	case err != nil:
		return false, err
	case p.State == UpdateDone:
		return true, nil
	case p.State == UpdateFailed:
		s.row.Reason = "the last update failed: " + p.Reason
	case s.t.Last.Refused != "":
		s.row.Reason = s.t.Last.Refused
	case s.t.State != transfer.BatchStaging:
		s.row.Reason = "the last update had not come when the others moved: " + p.Reason
	default:
		s.row.Reason = "the last update: " + p.Reason
		s.due = time.Now().Add(c.o.MaxPoll) // its end wakes it
		return false, nil
	}
	s.fire(transfer.RowUpdateFail)
	return false, nil
}

// bringUpdate has the devices get the last update.
func (c *Coordinator) bringUpdate(ctx context.Context, t *Transfer) error {
	o := UpdateOrder{LastUpdate: t.Last, Note: "before " + t.ID[:shownID] + " to " + t.PartnerName, Drafter: t.CreatedBy}
	for _, a := range t.Approvals {
		if a.Side == c.o.Name {
			o.Approver = a.By
		}
	}
	err := c.eachRow(ctx, t.ID, func(r Row) error {
		if !r.Ended() {
			o.Devices = append(o.Devices, r.Device)
		}
		return nil
	})
	if err != nil || len(o.Devices) == 0 {
		return err
	}
	begun, err := c.o.Updates.Begin(ctx, o)
	switch {
	case errors.Is(err, ErrUpdate):
		t.Last.Campaign, t.Last.Refused = "", err.Error()
	case err != nil:
		return err
	case !begun:
		t.Last.Campaign = ""
	}
	return nil
}

const shownID = 8 // characters of a transfer's id that people see

// endUpdate leaves the devices alone that have not had the last update.
func (c *Coordinator) endUpdate(ctx context.Context, t *Transfer) error {
	reason := t.Reason
	if reason == "" {
		reason = "the hand-over goes on"
	}
	return c.o.Updates.End(ctx, t.Last, reason)
}

// updatesUnderWay reports whether devices that can be reached are still being updated.
func (c *Coordinator) updatesUnderWay(ctx context.Context, t Transfer) (bool, error) {
	if t.Last.Campaign == "" {
		return false, nil
	}
	settled, err := c.o.Updates.Settled(ctx, t.Last)
	return !settled, err
}

// armBy is how long ready devices wait for those that are not: for their last update half
// of the window that is left, for what they run cannot be told when commits have begun.
func (c *Coordinator) armBy(t *Transfer, now time.Time) time.Time {
	by := now.Add(c.o.ArmWait)
	if t.Last.Release == "" {
		return by
	}
	if half := now.Add(t.Window.Latest.Time().Sub(now) / 2); half.After(by) { //nolint:mnd // a half
		return half
	}
	return by
}
