package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"steward/lwm2m/audit"
	"steward/suit/rollout"
)

// AddRelease implements rollout.Releases.
func (s Rollout) AddRelease(ctx context.Context, r rollout.Release, c rollout.Content) error {
	if r.Sequence > math.MaxInt64 {
		return fmt.Errorf("%w: sequence number %d", rollout.ErrRelease, r.Sequence)
	}
	details, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		sequence := int64(r.Sequence) //nolint:gosec // G115: checked above
		if _, err := tx.Exec("release.insert", r.ID, r.Class, sequence, string(details), string(r.State),
			r.CreatedAt.UnixMicro()); err != nil {
			return err
		}
		if err := tx.insertParts(r.ID, c); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: r.CreatedBy, Action: "release.add", Subject: r.ID, Reason: r.Name + " " + r.Version,
			After: string(r.State),
		})
	})
}

// Release implements rollout.Releases.
func (s Rollout) Release(ctx context.Context, id string) (rollout.Release, error) {
	return scanRelease(s.db.QueryRow(ctx, "release.get", id))
}

// scanRelease reads a row; of state and decisions the columns count.
func scanRelease(row interface{ Scan(dest ...any) error }) (r rollout.Release, err error) {
	var details, state, decisions string
	err = row.Scan(&details, &state, &decisions)
	if errors.Is(err, sql.ErrNoRows) {
		return r, rollout.ErrUnknown
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(details), &r); err != nil {
		return r, err
	}
	r.State, r.Decisions = rollout.ReleaseState(state), nil
	if decisions == "[]" {
		return r, nil
	}
	return r, json.Unmarshal([]byte(decisions), &r.Decisions)
}

// Content implements rollout.Releases.
func (s Rollout) Content(ctx context.Context, release string) (c rollout.Content, err error) {
	err = s.db.QueryRow(ctx, "release.content", release).Scan(&c.Push, &c.Pull, &c.Image)
	if errors.Is(err, sql.ErrNoRows) {
		return c, rollout.ErrUnknown
	}
	if err != nil {
		return c, err
	}
	if _, err := s.Length(ctx, release, rollout.PartText); err == nil {
		c.Text = []byte{} // there is one
	}
	for p, data := range map[rollout.Part]*[]byte{
		rollout.PartPush: &c.Push, rollout.PartPull: &c.Pull, rollout.PartImage: &c.Image,
		rollout.PartText: &c.Text,
	} {
		if *data, err = s.whole(ctx, release, p, *data); err != nil {
			return rollout.Content{}, err
		}
	}
	return c, nil
}

// Newest implements rollout.Releases.
func (s Rollout) Newest(ctx context.Context, class string) (n uint64, err error) {
	err = s.db.QueryRow(ctx, "release.newest", class).Scan(&n)
	return n, err
}

// ListReleases implements rollout.Releases.
func (s Rollout) ListReleases(ctx context.Context, before string, limit int) ([]rollout.Release, error) {
	rows, err := s.db.Query(ctx, "release.list", before, before, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (rollout.Release, error) { return scanRelease(r) })
}

// ApprovedAbove returns up to limit approved releases for a class with a sequence
// number above one, the highest first.
func (s Rollout) ApprovedAbove(ctx context.Context, class string, sequence uint64, limit int) (
	[]rollout.Release, error,
) {
	rows, err := s.db.Query(ctx, "release.approved", class, int64(min(sequence, math.MaxInt64)), limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (rollout.Release, error) { return scanRelease(r) })
}

// DecideRelease implements rollout.Releases.
func (s Rollout) DecideRelease(ctx context.Context, id string, from rollout.ReleaseState, d rollout.Decision) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		r, err := scanRelease(tx.QueryRow("release.get", id))
		if err != nil {
			return err
		}
		if r.State != from {
			return rollout.ErrDecided
		}
		decisions, err := json.Marshal(append(r.Decisions, d))
		if err != nil {
			return err
		}
		if _, err := tx.Exec("release.decide", string(d.To), string(decisions), id); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: d.By, Action: "release." + string(d.On), Subject: id, Reason: d.Reason,
			Before: string(from), After: string(d.To),
		})
	})
}
