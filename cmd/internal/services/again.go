package services

import (
	"context"

	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/web"
)

// again drafts another transfer of the devices that stayed, for as long a window, under
// the mandate of the service user, if there was one, with the same verifier and the same
// last update. It returns coordinator.ErrInvalid if the release of that was withdrawn.
func (s *transfers) again(ctx context.Context, by web.Actor, t coordinator.Transfer, c web.TransferCommand) (
	coordinator.Transfer, error,
) {
	d := coordinator.Draft{
		Partner: t.Partner, Note: c.Reason, Actor: by.String(), Attest: t.Attest, Mandate: c.Mandate,
		Verifier: t.Verifier, Update: t.Last.Release,
	}
	now := s.Now()
	if c.Latest.IsZero() {
		c.Latest = now.Add(t.Window.Latest.Time().Sub(t.Window.Earliest.Time()))
	}
	d.Window = transfer.NewWindow(now, c.Latest)
	docs, err := s.Coordinator.Documents(ctx, t.ID)
	if err != nil {
		return t, err
	}
	if m, err := transfer.ParseMandate(docs.Mandate); err == nil && !t.Self && d.Mandate == nil {
		d.Mandate = docs.Mandate
		d.Window.Earliest = max(d.Window.Earliest, m.Body.Window.Earliest)
		d.Window.Latest = min(d.Window.Latest, m.Body.Window.Latest)
	}
	if d.Devices, err = s.stayed(ctx, t.ID); err != nil {
		return t, err
	}
	if len(d.Devices) == 0 {
		return t, conflict("no device of it has stayed")
	}
	return s.Coordinator.Draft(ctx, d)
}

// stayed are the devices of a transfer that never left.
func (s *transfers) stayed(ctx context.Context, id string) (out []fleet.ID, err error) {
	err = s.eachRow(ctx, id, func(r coordinator.Row) error {
		if r.State != transfer.RowAborted && r.State != transfer.RowExpired && r.State != transfer.RowFellBack &&
			!r.NotUpdated() {
			return nil
		}
		if l, err := s.find(ctx, string(r.Device)); err == nil && l.Ownership == fleet.Owned {
			out = append(out, r.Device)
		}
		return nil
	})
	return out, err
}

// rowsAtOnce are the rows that eachRow reads at a time.
const rowsAtOnce = 500

// eachRow calls do with every row of a transfer, until it returns an error.
func (s *transfers) eachRow(ctx context.Context, id string, do func(coordinator.Row) error) error {
	return s.eachRows(ctx, id, func(rows []coordinator.Row) error {
		for _, r := range rows {
			if err := do(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachRows calls do with up to rowsAtOnce rows at a time, at least one.
func (s *transfers) eachRows(ctx context.Context, id string, do func([]coordinator.Row) error) error {
	for after := ""; ; {
		rows, err := s.Coordinator.Rows(ctx, id, after, rowsAtOnce)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := do(rows); err != nil || len(rows) < rowsAtOnce {
			return err
		}
		after = rows[len(rows)-1].Short
	}
}
