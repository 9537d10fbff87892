package coordinator

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"steward/lwm2m/audit"
	"steward/transfer"
)

// A body is one of the interface between providers.
type body interface{ Encode() ([]byte, error) }

// post sends a call about the row's device to the partner.
func (c *Coordinator) post(ctx context.Context, s *step, a Action, b body) ([]byte, error) {
	raw, err := b.Encode()
	if err != nil {
		return nil, err
	}
	call := Call{Action: a, Transfer: s.t.ID, Body: raw}
	if a.AboutDevice() {
		call.Device = s.row.Short
	}
	call.Key = keyOf(call)
	return c.o.Peers.Post(ctx, s.partner, call)
}

// keyOf makes the idempotency key of a call: the same whenever the same is said.
func keyOf(call Call) string {
	sum := transfer.HashOf(call.Body)
	return string(call.Action) + "-" + call.Transfer + "-" + call.Device + "-" + hex.EncodeToString(sum[:8])
}

// readyBody returns the READY receipt for the partner.
func (c *Coordinator) readyBody(ctx context.Context, s *step) (transfer.ReadyBody, error) {
	_, raw, err := c.stored(ctx, s.row, transfer.Ready)
	return transfer.ReadyBody{Transfer: s.t.Key(), Receipt: raw}, err
}

// postReady sends the READY receipt. If the partner finds that it disagrees with
// its offer, the device stays.
func (c *Coordinator) postReady(ctx context.Context, s *step) error {
	if t, err := c.o.Store.Transfer(ctx, s.t.ID); err != nil || slices.Contains(t.Pending, transfer.BatchPostInfo) {
		return errors.Join(err, errors.New("the partner does not know yet what the devices run"))
	}
	b, err := c.readyBody(ctx, s)
	if err != nil {
		return err
	}
	_, err = c.post(ctx, s, ActionReady, b)
	if errors.Is(err, ErrDeclined) {
		s.row.Reason = err.Error()
		s.fire(transfer.RowAbort)
		return nil
	}
	return err
}

// tellCommitted tells the partner to open its right. A device that is on its way
// back needs no open right any more.
func (c *Coordinator) tellCommitted(ctx context.Context, s *step) error {
	if !s.row.Back.IsZero() {
		return nil
	}
	b, err := c.readyBody(ctx, s)
	if err != nil {
		return err
	}
	_, err = c.post(ctx, s, ActionCommitted, b)
	if errors.Is(err, ErrDeclined) { // the device will find the door closed and return
		s.row.Reason = err.Error()
		return nil
	}
	return err
}

// tellClosed tells the partner that a device stays. If the whole transfer has
// ended, the partner knows.
func (c *Coordinator) tellClosed(ctx context.Context, s *step) error {
	if s.t.Over() {
		return nil
	}
	reason := s.row.Reason
	if reason == "" {
		reason = string(s.row.State)
	}
	_, err := c.post(ctx, s, ActionWithdraw, transfer.Withdrawal{
		Reason: cut(reason), Transfer: s.t.Key(),
		Devices: []transfer.Withdrawn{{Device: transfer.Hash(s.row.Factory).Thumbprint(), Reason: cut(reason)}},
	})
	if errors.Is(err, ErrDeclined) { // it has closed the device's part itself
		return nil
	}
	return err
}

// tellFellBack gives the partner the receipts that end the transfer of a device
// that returned.
func (c *Coordinator) tellFellBack(ctx context.Context, s *step) error {
	_, back, err := c.stored(ctx, s.row, transfer.FellBack)
	if err != nil {
		return err
	}
	_, err = c.post(ctx, s, ActionComplete, transfer.Completion{Transfer: s.t.Key(), Receipts: [][]byte{back}})
	return c.giveUp(ctx, s, err)
}

// giveUp ends what a partner declines again and again.
func (c *Coordinator) giveUp(ctx context.Context, s *step, err error) error {
	if errors.Is(err, ErrDeclined) && s.row.Tries+1 >= c.o.MaxTries {
		s.row.Reason = err.Error()
		return c.alert(ctx, s)
	}
	return err
}

const maxReason = 200 // bytes of a reason between providers

// cut shortens a reason to maxReason, between two characters: half of one is no
// text that the partner accepts.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxReason)], "") }

// refuse audits what was refused without any change.
func (c *Coordinator) refuse(ctx context.Context, r audit.Row) {
	c.logged(ctx, "audit", c.o.Audit.Audit(ctx, r))
}

func refusedf(kind error, format string, args ...any) error {
	return fmt.Errorf("%w: %s", kind, fmt.Sprintf(format, args...))
}
