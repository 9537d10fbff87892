package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/suit/rollout"
)

// Rollout implements rollout.Store.
type Rollout struct{ db *DB }

// Rollout returns the rollout.Store of db.
func (db *DB) Rollout() Rollout { return Rollout{db} }

// AddCampaign implements rollout.Campaigns.
func (s Rollout) AddCampaign(ctx context.Context, c rollout.Campaign, jobs []rollout.Job) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.Exec("campaign.insert", c.ID, c.Name, c.Release, string(c.Delivery), string(c.State),
			c.CreatedAt.UnixMicro(), c.CreatedBy); err != nil {
			return err
		}
		for _, j := range jobs {
			_, err := scanJob(tx.QueryRow("job.unfinished", string(j.Device)))
			if err == nil {
				return rollout.ErrBusy
			}
			if !errors.Is(err, rollout.ErrUnknown) {
				return err
			}
			if _, err := tx.Exec("job.insert", j.Campaign, string(j.Device), string(j.State), j.Reason, j.Result,
				j.Tries, j.Due.UnixMicro(), j.Version, j.UpdatedAt.UnixMicro()); err != nil {
				return err
			}
		}
		return tx.Audit(audit.Row{
			Actor: c.CreatedBy, Action: "campaign.start", Subject: c.ID, Reason: c.Name, After: string(c.State),
		})
	})
}

// Campaign implements rollout.Campaigns.
func (s Rollout) Campaign(ctx context.Context, id string) (rollout.Campaign, []rollout.Job, error) {
	c, err := scanCampaign(s.db.QueryRow(ctx, "campaign.get", id))
	if err != nil {
		return c, nil, err
	}
	rows, err := s.db.Query(ctx, "job.of_campaign", id)
	if err != nil {
		return c, nil, err
	}
	jobs, err := collect(rows, func(r *sql.Rows) (rollout.Job, error) { return scanJob(r) })
	return c, jobs, err
}

func scanCampaign(row interface{ Scan(dest ...any) error }) (c rollout.Campaign, err error) {
	var created int64
	err = row.Scan(&c.ID, &c.Name, &c.Release, &c.Delivery, &c.State, &created, &c.CreatedBy)
	if errors.Is(err, sql.ErrNoRows) {
		return c, rollout.ErrUnknown
	}
	c.CreatedAt = fromMicro(created)
	return c, err
}

// ListCampaigns implements rollout.Campaigns.
func (s Rollout) ListCampaigns(ctx context.Context, before string, limit int) ([]rollout.Campaign, error) {
	rows, err := s.db.Query(ctx, "campaign.list", before, before, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (rollout.Campaign, error) { return scanCampaign(r) })
}

// SetCampaign implements rollout.Campaigns. Aborting a campaign aborts the jobs
// that have not begun to install, in the same transaction.
func (s Rollout) SetCampaign(ctx context.Context, id string, from, to rollout.CampaignState,
	actor, reason string,
) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if _, err := scanCampaign(tx.QueryRow("campaign.get", id)); err != nil {
			return err
		}
		res, err := tx.Exec("campaign.set_state", string(to), id, string(from))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(rollout.ErrEnded, err)
		}
		if to == rollout.Stopped {
			if _, err := tx.Exec("campaign.abort_jobs", reason, time.Now().UnixMicro(), id); err != nil {
				return err
			}
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "campaign.state", Subject: id, Reason: reason, Before: string(from), After: string(to),
		})
	})
}

// Due implements rollout.Campaigns.
func (s Rollout) Due(ctx context.Context, now time.Time, limit int) ([]rollout.Job, error) {
	rows, err := s.db.Query(ctx, "job.due", now.UnixMicro(), limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (rollout.Job, error) { return scanJob(r) })
}

// SetJob implements rollout.Campaigns.
func (s Rollout) SetJob(ctx context.Context, j rollout.Job, before rollout.JobState) (stored bool, err error) {
	err = s.db.Update(ctx, func(tx *Tx) error {
		res, err := tx.Exec("job.set", string(j.State), j.Reason, j.Result, j.Tries, j.Due.UnixMicro(),
			j.UpdatedAt.UnixMicro(), j.Campaign, string(j.Device), j.Version)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		stored = n > 0
		if err != nil || !stored || before == j.State {
			return err // waiting is no change of state
		}
		return tx.Audit(audit.Row{
			Actor: "system", Action: "update.step", Subject: string(j.Device), Reason: j.Reason,
			Before: string(before), After: string(j.State),
		})
	})
	return stored, err
}

// OfDevice implements rollout.Campaigns.
func (s Rollout) OfDevice(ctx context.Context, device fleet.ID) (rollout.Job, error) {
	return scanJob(s.db.QueryRow(ctx, "job.unfinished", string(device)))
}

func scanJob(row interface{ Scan(dest ...any) error }) (j rollout.Job, err error) {
	var due, updated int64
	err = row.Scan(&j.Campaign, &j.Device, &j.State, &j.Reason, &j.Result, &j.Tries, &due, &j.Version, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return j, rollout.ErrUnknown
	}
	j.Due, j.UpdatedAt = fromMicro(due), fromMicro(updated)
	return j, err
}

// Installed implements rollout.Campaigns.
func (s Rollout) Installed(ctx context.Context, device fleet.ID) ([]rollout.Installed, error) {
	var details string
	var delivery rollout.Delivery
	err := s.db.QueryRow(ctx, "job.last_done", string(device)).Scan(&details, &delivery)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r rollout.Release
	if err := json.Unmarshal([]byte(details), &r); err != nil {
		return nil, err
	}
	return []rollout.Installed{{Digest: r.ManifestOf(delivery), Sequence: r.Sequence, Release: r.ID}}, nil
}
