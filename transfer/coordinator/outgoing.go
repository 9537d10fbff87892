package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"steward/est"
	"steward/lwm2m/fleet"
	"steward/lwm2m/machine"
	"steward/objects"
	"steward/transfer"
)

// An effect performs one effect of a row. It is idempotent. Its error means that
// it is to be performed again; step.again, that there is more of it.
type effect func(*Coordinator, context.Context, *step) error

// outgoingEffects are those of the provider that lets go.
var outgoingEffects = map[transfer.RowEffect]effect{
	transfer.RowWriteMessage:  (*Coordinator).writeMessage,
	transfer.RowReadReceipt:   (*Coordinator).readReady,
	transfer.RowPostReady:     (*Coordinator).postReady,
	transfer.RowSuspendRight:  (*Coordinator).suspendRight,
	transfer.RowTellCommitted: (*Coordinator).tellCommitted,
	transfer.RowReadState:     (*Coordinator).readState,
	transfer.RowExecuteAbort:  (*Coordinator).executeAbort,
	transfer.RowUnstage:       (*Coordinator).unstage,
	transfer.RowTellClosed:    (*Coordinator).tellClosed,
	transfer.RowRevokeOld:     (*Coordinator).revokeOld,
	transfer.RowDeleteRight:   (*Coordinator).letGo,
	transfer.RowReopenRight:   (*Coordinator).reopenRight,
	transfer.RowTakeBack:      (*Coordinator).takeBack,
	transfer.RowTellFellBack:  (*Coordinator).tellFellBack,
	transfer.RowAlert:         (*Coordinator).alert,
}

// advance does what the state of a row without pending effects asks for.
func (c *Coordinator) advance(ctx context.Context, s *step) error {
	if s.row.Ended() {
		return nil
	}
	if s.row.Incoming {
		return c.advanceIncoming(ctx, s)
	}
	switch s.row.State {
	case transfer.RowListed:
		return c.prepare(ctx, s)
	case transfer.RowReady:
		return c.tellCommit(ctx, s)
	case transfer.RowReturned:
		return c.readFellBack(ctx, s)
	case transfer.RowFinalised:
		s.row.Pending = []transfer.RowEffect{transfer.RowRevokeOld, transfer.RowDeleteRight}
		s.again = true
		return nil
	default:
		if s.row.Reached() {
			return c.follow(ctx, s)
		}
		return nil
	}
}

// switching reports whether rows of a transfer in that state work with devices.
func switching(s transfer.BatchState) bool {
	switch s {
	case transfer.BatchStaging, transfer.BatchArmed, transfer.BatchSwitching, transfer.BatchPartial:
		return true
	default:
		return false
	}
}

// tellCommit executes Commit, inside the window. A device that has not been heard
// for a while is asked first, for silence after Commit would leave it unknown
// where the device is.
func (c *Coordinator) tellCommit(ctx context.Context, s *step) error {
	now := time.Now()
	if !now.Before(s.t.Window.Latest.Time()) { // whatever the state: it may have come out of UNKNOWN late
		s.fire(transfer.RowExpire)
		return nil
	}
	if s.t.State != transfer.BatchSwitching || s.t.Paused || s.t.Rehearse {
		s.due = now.Add(c.o.MaxPoll) // the transfer wakes its rows; this is for a lost wake
		return nil
	}
	if now.Before(s.t.Window.Earliest.Time()) {
		s.due = s.t.Window.Earliest.Time()
		return nil
	}
	if s.outlived(now) {
		return c.renew(ctx, s)
	}
	if ok, err := c.takeSlot(ctx, s); err != nil || !ok {
		s.due = now.Add(c.o.MaxPoll) // the next wave wakes it
		return err
	}
	if now.Sub(s.row.ReadyAt) > fresh || s.row.Tries > 0 {
		if _, err := c.o.Devices.Read(ctx, s.row.Device, c.resource(objects.TransferState)); err != nil {
			return err
		}
	}
	err := c.o.Devices.Execute(ctx, s.row.Device, c.resource(objects.TransferCommit), s.row.order())
	switch {
	case errors.Is(err, ErrAsleep): // it was not sent
		return err
	case errors.Is(err, ErrUnreachable), errors.Is(err, context.DeadlineExceeded):
		s.row.Reason = "no answer to Commit"
		s.fire(transfer.RowCommitLost)
		return nil
	case err != nil:
		return err
	}
	s.row.CommittedAt, s.row.Reason = time.Now(), ""
	s.fire(transfer.RowCommit)
	return nil
}

// fresh is for how long after READY a device is taken to be reachable.
const fresh = 30 * time.Second

// suspendRight stops enrolment at our CA. A committed device has no business here
// any more; one in UNKNOWN may still be in READY and stays registered.
func (c *Coordinator) suspendRight(ctx context.Context, s *step) error {
	_, err := c.o.CA.SuspendRight(ctx, s.row.factoryHash())
	if err != nil && !errors.Is(err, machine.ErrNoRow) && !errors.Is(err, est.ErrUnknown) {
		return err // a right that was never consumed, or none, needs no suspension
	}
	if s.row.State == transfer.RowUnknown {
		return nil
	}
	return c.o.Sessions.Dismiss(ctx, s.row.Device, "committed to another provider")
}

// readState finds out, for a row whose Commit was not answered, where the device
// is: by a fresh read. If the device has left, its receipts tell, or its contact
// with our enrolment server; the partner's mere word does not, for it would make
// us give up a device that is in READY and asleep. The partner needs no word of
// ours either: it opens its right when the device asks with the key of READY.
func (c *Coordinator) readState(ctx context.Context, s *step) error {
	_, state, err := c.readTransfer(ctx, s.row.Device)
	switch {
	case err == nil && state == transfer.Ready:
		s.fire(transfer.RowReadReady)
		return nil
	case err == nil && state.AtRest():
		s.row.Reason = fmt.Sprintf("the device gave up READY and is %s", state)
		s.fire(transfer.RowReadReady, transfer.RowExpire)
		return nil
	case err == nil:
		return fmt.Errorf("the device is %s", state)
	}
	return err
}

// follow is what the outgoing provider does for a device that is away: it notes
// what the partner says, and when the time is over for which it may be silent.
func (c *Coordinator) follow(ctx context.Context, s *step) error {
	if !s.row.Back.IsZero() {
		c.askVerdict(ctx, s)
		return c.askClosed(ctx, s)
	}
	now := time.Now()
	silent := s.row.CommittedAt.Add(2 * s.t.Grace)
	if s.row.State != transfer.RowOrphanRisk && !now.Before(silent) && s.row.accepts(transfer.RowSilent) {
		s.row.Reason = "grace is over and nothing was heard"
		s.fire(transfer.RowSilent)
		return nil
	}
	c.halfGrace(ctx, s, now)
	s.row.Tries++
	s.due = now.Add(c.backoff(s.row.Tries))
	if s.row.Tries > 1 {
		if there, err := c.partnerState(ctx, s, time.Time{}); err == nil {
			if c.takeVerdict(ctx, s, there.Verdict); len(s.events) > 0 {
				return nil
			}
			if c.proveEnrolled(ctx, s, transfer.RowState(there.State)); len(s.events) == 0 {
				c.infer(s, transfer.RowState(there.State))
			}
		}
	}
	if s.due.After(silent) && now.Before(silent) {
		s.due = silent
	}
	return nil
}

// halfGrace tells people, once, of a device that has not enrolled although half of its
// grace is over: something on its way does not answer (transfer protocol §7).
func (c *Coordinator) halfGrace(ctx context.Context, s *step, now time.Time) {
	half := s.row.CommittedAt.Add(s.t.Grace / 2) //nolint:mnd // a half
	switch s.row.State {
	case transfer.RowCommitted, transfer.RowAttested, transfer.RowUpdated:
	default:
		return
	}
	if s.row.Reason != "" || s.t.Grace == 0 || now.Before(half) {
		return
	}
	s.row.Reason = "half of its grace is over, and it has not enrolled"
	_ = c.alert(ctx, s) // it never fails
}

// infer takes the partner's word for how far a device is. Nothing depends on it.
func (c *Coordinator) infer(s *step, there transfer.RowState) {
	switch {
	case there == transfer.RowEnrolled && (s.row.State == transfer.RowCommitted || s.row.State == transfer.RowAttested):
		s.fire(transfer.RowEnrol)
	case there == transfer.RowActive && (s.row.State == transfer.RowCommitted || s.row.State == transfer.RowAttested ||
		s.row.State == transfer.RowEnrolled):
		s.fire(transfer.RowActivate)
	default:
		return
	}
	s.inferred = true
}

// revokeOld ends all that the device has here: its certificates are revoked and
// its right is deleted in one transaction of the CA.
func (c *Coordinator) revokeOld(ctx context.Context, s *step) error {
	_, err := c.o.CA.DeleteRight(ctx, s.row.factoryHash(), est.CessationOfOperation)
	if err != nil && !errors.Is(err, est.ErrUnknown) {
		return err
	}
	return c.o.Sessions.Dismiss(ctx, s.row.Device, "handed over to another provider")
}

// letGo makes the device another provider's.
func (c *Coordinator) letGo(ctx context.Context, s *step) error {
	if err := c.own(ctx, s.row, fleet.Left, "handed over to "+s.t.PartnerName); err != nil {
		return err
	}
	s.row.Reason = ""
	s.fire(transfer.RowRevoke)
	return nil
}

// own changes who looks after a device.
func (c *Coordinator) own(ctx context.Context, r Row, o fleet.Ownership, reason string) error {
	d, err := c.o.Fleet.Device(ctx, r.Device)
	if errors.Is(err, fleet.ErrUnknown) || err == nil && d.Ownership == o {
		return nil
	}
	if err != nil {
		return err
	}
	d.Ownership = o
	return c.o.Fleet.Put(ctx, d, "system", reason)
}

// alert puts a row's trouble into the log; the dashboard shows the row's reason.
func (c *Coordinator) alert(ctx context.Context, s *step) error {
	c.o.Log.LogAttrs(ctx, slog.LevelWarn, "device in transfer needs attention",
		slog.String("transfer_id", s.t.ID), slog.String("endpoint", string(s.row.Endpoint)),
		slog.String("state", string(s.row.State)), slog.String("reason", s.row.Reason))
	return nil
}
