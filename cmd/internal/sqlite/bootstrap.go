package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/bootstrap"
	"steward/lwm2m/fleet"
)

// Bootstrap implements bootstrap.Store and bootstrap.Profiles.
type Bootstrap struct{ db *DB }

// Bootstrap returns the stores of the Bootstrap-Server.
func (db *DB) Bootstrap() Bootstrap { return Bootstrap{db} }

// Keep implements bootstrap.Store.
func (s Bootstrap) Keep(ctx context.Context, r bootstrap.Report) error {
	return s.db.Update(ctx, func(tx *Tx) error { return keepReport(tx, r) })
}

func keepReport(tx *Tx, r bootstrap.Report) error {
	details, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var ended any
	if !r.EndedAt.IsZero() {
		ended = r.EndedAt.UnixMicro()
	}
	if _, err := tx.Exec("bootstrap.put", string(r.Device), string(r.State), string(details),
		r.StartedAt.UnixMicro(), ended); err != nil {
		return err
	}
	if r.State != bootstrap.Asked && !r.State.Over() {
		return nil
	}
	return tx.Audit(audit.Row{
		Actor: "device:" + string(r.Endpoint), Action: "bootstrap." + string(r.State), Subject: string(r.Device),
		Reason: r.Reason,
	})
}

// Last implements bootstrap.Store.
func (s Bootstrap) Last(ctx context.Context, device fleet.ID) (bootstrap.Report, error) {
	r, err := scanReport(s.db.QueryRow(ctx, "bootstrap.last", string(device)))
	if errors.Is(err, sql.ErrNoRows) {
		return bootstrap.Report{}, nil
	}
	return r, err
}

// Interrupt implements bootstrap.Store.
func (s Bootstrap) Interrupt(ctx context.Context, now time.Time, reason string) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		rows, err := tx.Query("bootstrap.unfinished")
		if err != nil {
			return err
		}
		open, err := collect(rows, func(r *sql.Rows) (bootstrap.Report, error) { return scanReport(r) })
		if err != nil {
			return err
		}
		for _, r := range open {
			r.State, r.Reason, r.EndedAt = bootstrap.Failed, reason, now
			if err := keepReport(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func scanReport(row interface{ Scan(dest ...any) error }) (r bootstrap.Report, err error) {
	var device, state, details string
	var started int64
	var ended sql.NullInt64
	if err = row.Scan(&device, &state, &details, &started, &ended); err != nil {
		return r, err
	}
	if err = json.Unmarshal([]byte(details), &r); err != nil {
		return r, err
	}
	r.Device, r.State, r.StartedAt = fleet.ID(device), bootstrap.State(state), time.UnixMicro(started).UTC()
	if ended.Valid {
		r.EndedAt = time.UnixMicro(ended.Int64).UTC()
	}
	return r, nil
}

// PutProfile implements bootstrap.Profiles.
func (s Bootstrap) PutProfile(ctx context.Context, p bootstrap.Profile, actor string) error {
	if err := p.Check(); err != nil {
		return err
	}
	details, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		before, err := profileBefore(tx, p)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("profile.put", p.Name, p.Tag, string(details)); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "bootstrap.profile", Subject: p.Name, Before: before, After: string(details),
		})
	})
}

// profileBefore returns the profile that p takes the place of, as JSON, or why p
// cannot be stored.
func profileBefore(tx *Tx, p bootstrap.Profile) (before string, err error) {
	rows, err := tx.Query("profile.list", bootstrap.MaxProfiles)
	if err != nil {
		return "", err
	}
	all, err := collect(rows, scanProfile)
	if err != nil {
		return "", err
	}
	for _, q := range all {
		switch {
		case q.Name == p.Name:
			text, err := json.Marshal(q)
			if err != nil {
				return "", err
			}
			before = string(text)
		case q.Tag == p.Tag:
			return "", fmt.Errorf("%w %q", bootstrap.ErrProfileTag, p.Tag)
		}
	}
	if before == "" && len(all) == bootstrap.MaxProfiles {
		return "", fmt.Errorf("%w: there are %d already", bootstrap.ErrProfile, len(all))
	}
	return before, nil
}

// Profiles implements bootstrap.Profiles.
func (s Bootstrap) Profiles(ctx context.Context) ([]bootstrap.Profile, error) {
	rows, err := s.db.Query(ctx, "profile.list", bootstrap.MaxProfiles)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanProfile)
}

// RemoveProfile implements bootstrap.Profiles.
func (s Bootstrap) RemoveProfile(ctx context.Context, name, actor string) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		var before string
		err := tx.QueryRow("profile.details", name).Scan(&before)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		res, err := tx.Exec("profile.remove", name)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return tx.Audit(audit.Row{Actor: actor, Action: "bootstrap.profile_remove", Subject: name, Before: before})
	})
}

func scanProfile(r *sql.Rows) (p bootstrap.Profile, err error) {
	var name, tag, details string
	if err = r.Scan(&name, &tag, &details); err == nil {
		err = json.Unmarshal([]byte(details), &p)
	}
	return p, err
}
