package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// A Replacement is a device that takes the place of another.
type Replacement struct {
	Old, New fleet.ID
	At       time.Time
	Actor    string
	Reason   string
}

// Replace has a device take the place of another, which leaves, in one transaction: it
// gets its tags, its static groups, the observations that are wanted of it and its place
// in campaigns that have not begun with it. most bounds tags. It returns
// fleet.ErrUnknown, fleet.ErrConflict where the one has left or the other is none of
// ours, and ErrTags.
func (s Devices) Replace(ctx context.Context, r Replacement, most int) error {
	err := s.db.Update(ctx, func(tx *Tx) error {
		before, err := scanDevice(tx.QueryRow("device.by_id", string(r.Old)))
		if err != nil {
			return err
		}
		after, err := scanDevice(tx.QueryRow("device.by_id", string(r.New)))
		if err != nil {
			return err
		}
		if r.Old == r.New || before.Ownership == fleet.Left || after.Ownership == fleet.Left {
			return fmt.Errorf("%w: %s cannot take the place of %s", fleet.ErrConflict, after.Endpoint, before.Endpoint)
		}
		tags := slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(after.Tags), before.Tags...))))
		if len(tags) > most {
			return ErrTags
		}
		what, err := takeOver(tx, r, tags)
		if err != nil {
			return err
		}
		before.Ownership, before.NoSec = fleet.Left, false
		if err := putDevice(tx, before, r.Actor, r.Reason); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: r.Actor, Action: "device.replace", Subject: string(r.New), Before: string(r.Old), After: string(r.New),
			Reason: fmt.Sprintf("takes the place of %s, with %s: %s", before.Endpoint, what, r.Reason),
		})
	})
	if err == nil {
		s.db.deviceChanged(r.Old)
		s.db.deviceChanged(r.New)
	}
	return err
}

// takeOver moves what is wanted of the one device to the other, and says what that was.
func takeOver(tx *Tx, r Replacement, tags []string) (what string, err error) {
	body, err := json.Marshal(append([]string{}, tags...))
	if err != nil {
		return "", err
	}
	counts := map[string]int64{}
	for _, step := range []struct {
		name string
		args []any
	}{
		{"device.tags", []any{string(body), string(r.New)}},
		{"replace.groups", []any{string(r.New), string(r.Old)}},
		{"replace.leave_groups", []any{string(r.Old)}},
		{"replace.observations", []any{string(r.New), string(r.Old)}},
		{"replace.jobs", []any{string(r.New), string(r.Old)}},
		{"replace.put", []any{string(r.Old), string(r.New), r.At.UnixMicro(), r.Actor, r.Reason}},
	} {
		res, err := tx.Exec(step.name, step.args...)
		if err != nil {
			return "", err
		}
		if counts[step.name], err = res.RowsAffected(); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d tags, %d groups, %d observations and %d places in campaigns", len(tags),
		counts["replace.groups"], counts["replace.observations"], counts["replace.jobs"]), nil
}

// Replaced returns whose place a device has taken, the last first, and what has taken its
// own.
func (v View) Replaced(ctx context.Context, id fleet.ID) (of, by []fleet.Device, err error) {
	if of, err = v.devicesOf(ctx, "replace.of", id); err != nil {
		return nil, nil, err
	}
	by, err = v.devicesOf(ctx, "replace.by", id)
	return of, by, err
}

func (v View) devicesOf(ctx context.Context, query string, id fleet.ID) ([]fleet.Device, error) {
	rows, err := v.db.Query(ctx, query, string(id))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (fleet.Device, error) { return scanDevice(r) })
}
