package coordinator

import (
	"context"
	"errors"
	"time"

	"steward/est/attest"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// gates returns the events that a committed row has coming: those by which it
// passes what was agreed between commit and enrolment, and that which opens the
// right. It returns nothing for a row that has a gate before it.
func (t *Transfer) gates(r *Row) (on []transfer.RowEvent) {
	if t.Attest && !r.attested() {
		return nil
	}
	if t.UpdateFirst {
		if !r.UpToDate {
			return nil
		}
		if r.State != transfer.RowUpdated {
			on = append(on, transfer.RowUpdate)
		}
	}
	return append(on, transfer.RowPass)
}

// attested reports whether the verifier speaks for the device.
func (r *Row) attested() bool {
	v, err := attest.ParseVerdict(r.Verdict)
	return err == nil && v.Tier == attest.TierAffirming
}

// commits returns the events by which a row in READY becomes COMMITTED, and passes
// the gates that it has passed already.
func (t *Transfer) commits(r Row, by transfer.RowEvent) []transfer.RowEvent {
	r.State = transfer.RowCommitted
	return append([]transfer.RowEvent{by}, t.gates(&r)...)
}

// An Arrival is a device that comes in a transfer that has it ask the update server
// before it enrols.
type Arrival struct {
	Device   fleet.ID
	Transfer string
	Key      transfer.Hash // of the key to be enrolled, from the READY receipt
	Release  string        // that was chosen for the transfer; "": none was
}

// MayUpdate reports whether a device comes in a transfer that has it ask the update
// server before it enrols, and waits for that. With attestation, it must have attested.
func (c *Coordinator) MayUpdate(ctx context.Context, factory fleet.Factory) (a Arrival, ok bool, err error) {
	t, r, err := c.arriving(ctx, factory, updatesFirst)
	if err != nil || r.Transfer == "" || t.Attest && !r.attested() {
		return Arrival{}, false, err
	}
	return Arrival{Device: r.Device, Transfer: t.ID, Key: r.SPKI, Release: t.Release}, true, nil
}

// UpToDate notes that a device asked the update server and there was nothing newer
// for it: it has passed that gate. One of which nobody has told that it committed
// passes it when somebody does, or its key shows it.
func (c *Coordinator) UpToDate(ctx context.Context, factory fleet.Factory) error {
	return c.moveArriving(ctx, factory, updatesFirst, "update server", func(t *Transfer, r *Row) (bool, error) {
		if r.Transfer == "" || r.UpToDate {
			return false, nil
		}
		r.UpToDate = true
		if r.State == transfer.RowReady {
			return true, nil
		}
		return true, r.applyAll(time.Now(), t.gates(r)...)
	})
}

func updatesFirst(t *Transfer) bool { return t.UpdateFirst }

// moveArriving has change move the row of a device that arriving finds, until what it
// made of it is stored. change returns false for a row that stays as it is.
func (c *Coordinator) moveArriving(ctx context.Context, factory fleet.Factory, wanted func(*Transfer) bool,
	actor string, change func(*Transfer, *Row) (bool, error),
) error {
	for range maxRepeat {
		t, r, err := c.arriving(ctx, factory, wanted)
		if err != nil {
			return err
		}
		before := r
		if moves, err := change(&t, &r); err != nil || !moves {
			return err
		}
		err = c.commit(ctx, Change{Rows: []Row{r}, Audit: audited(before, r, actor)})
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err == nil {
			c.settle(ctx, rowKey(r.Transfer, r.Short)) // the device asks next
		}
		return err
	}
	return ErrConflict
}

// arriving returns the row of a device that has committed, or may have, and waits for
// a gate of its transfer that wanted describes; the zero Row if there is none.
func (c *Coordinator) arriving(ctx context.Context, factory fleet.Factory, wanted func(*Transfer) bool) (
	Transfer, Row, error,
) {
	rows, err := c.o.Store.OpenRows(ctx, factory)
	if err != nil {
		return Transfer{}, Row{}, err
	}
	for _, r := range rows {
		switch r.State {
		case transfer.RowReady, transfer.RowCommitted, transfer.RowAttested, transfer.RowUpdated, transfer.RowOrphanRisk:
		default:
			continue
		}
		if !r.Incoming || r.SPKI.IsZero() {
			continue
		}
		t, err := c.o.Store.Transfer(ctx, r.Transfer)
		if err != nil {
			return Transfer{}, Row{}, err
		}
		if r.State == transfer.RowReady && time.Now().Add(transfer.ClockSkew).Before(t.Window.Earliest.Time()) {
			continue // nobody can have told it to commit: who asks has a copy of its factory key
		}
		if wanted(&t) {
			return t, r, nil
		}
	}
	return Transfer{}, Row{}, nil
}
