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

func scanJob(row scanner) (j rollout.Job, err error) {
	var due, silent, began, first, ended, updated int64
	var attempts string
	err = row.Scan(&j.Campaign, &j.Device, &j.Position, &j.Wave, &j.State, &j.Aside, &j.Reason, &j.Result, &j.Tries,
		&attempts, &j.Zone, &due, &silent, &began, &first, &ended, &j.Version, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return j, rollout.ErrUnknown
	}
	if err != nil {
		return j, err
	}
	if attempts != "" {
		err = json.Unmarshal([]byte(attempts), &j.Attempts)
	}
	j.Due, j.UpdatedAt = fromMicro(due), fromMicro(updated)
	j.Silent, j.BeganAt, j.FirstAt, j.EndedAt = moment(silent), moment(began), moment(first), moment(ended)
	return j, err
}

// insertJobs adds planned jobs, passing over devices that have one, and counts
// them.
func insertJobs(tx *Tx, jobs []rollout.Job) (added int, err error) {
	type place struct {
		campaign string
		wave     int
		tally    rollout.Tally
	}
	counts := map[place]int{}
	for _, j := range jobs {
		res, err := tx.Exec("job.insert", j.Campaign, string(j.Device), j.Position, j.Wave, string(j.State), j.Reason,
			j.Due.UnixMicro(), j.UpdatedAt.UnixMicro())
		if err != nil {
			return 0, err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return 0, err
		}
		counts[place{j.Campaign, j.Wave, j.Tally()}] += int(n)
		added += int(n)
	}
	for p, n := range counts {
		if err := tally(tx, p.campaign, p.wave, p.tally, n); err != nil {
			return 0, err
		}
	}
	return added, nil
}

// AddJobs implements rollout.Jobs.
func (s Rollout) AddJobs(ctx context.Context, campaign string, jobs []rollout.Job) (added int, err error) {
	err = s.db.Update(ctx, func(tx *Tx) error {
		c, err := scanCampaign(tx.QueryRow("campaign.get", campaign))
		if err != nil || c.State.Over() {
			return err
		}
		added, err = insertJobs(tx, jobs)
		return err
	})
	return added, err
}

// StartJobs implements rollout.Jobs.
func (s Rollout) StartJobs(ctx context.Context, c rollout.Campaign, wave, limit int, now time.Time) (
	started []rollout.Job, blocked int, err error,
) {
	err = s.db.Update(ctx, func(tx *Tx) error {
		have, err := scanCampaign(tx.QueryRow("campaign.get", c.ID))
		if err != nil {
			return err
		}
		if have.Version != c.Version {
			return rollout.ErrMoved
		}
		rows, err := tx.Query("job.planned", c.ID, wave, limit)
		if err != nil {
			return err
		}
		jobs, err := collect(rows, func(r *sql.Rows) (rollout.Job, error) { return scanJob(r) })
		if err != nil {
			return err
		}
		started, err = startJobs(tx, jobs, now)
		blocked = len(jobs) - len(started)
		return err
	})
	return started, blocked, err
}

// startJobs queues planned jobs of one wave, or sets them aside, counts them, and
// returns those that are queued.
func startJobs(tx *Tx, jobs []rollout.Job, now time.Time) (started []rollout.Job, err error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	for i := range jobs {
		if err := startJob(tx, &jobs[i], now); err != nil {
			return nil, err
		}
		if jobs[i].State == rollout.Queued {
			started = append(started, jobs[i])
		}
	}
	for t, n := range map[rollout.Tally]int{
		rollout.Tally(rollout.Planned): -len(jobs), rollout.Tally(rollout.Queued): len(started),
		rollout.Tally(rollout.Blocked): len(jobs) - len(started),
	} {
		if err := tally(tx, jobs[0].Campaign, jobs[0].Wave, t, n); err != nil {
			return nil, err
		}
	}
	return started, nil
}

// startJob queues a planned job, or sets it aside while another campaign has its
// device in hand.
func startJob(tx *Tx, j *rollout.Job, now time.Time) error {
	var other string
	switch err := tx.QueryRow("job.in_hand", string(j.Device)).Scan(&other); {
	case errors.Is(err, sql.ErrNoRows):
		j.State, j.Reason = rollout.Queued, ""
	case err != nil:
		return err
	default:
		j.Aside, j.Reason = rollout.Blocked, rollout.BlockedBy(other)
	}
	j.Due, j.UpdatedAt = now, now
	j.Version++
	if _, err := tx.Exec("job.start", string(j.State), string(j.Aside), j.Reason, now.UnixMicro(), now.UnixMicro(),
		j.Campaign, string(j.Device)); err != nil {
		return err
	}
	if j.State != rollout.Queued {
		return nil
	}
	return tx.Audit(audit.Row{
		Actor: "system", Action: "update.step", Subject: string(j.Device), Before: string(rollout.Planned),
		After: string(j.State),
	})
}

// OpenJobs implements rollout.Jobs.
func (s Rollout) OpenJobs(ctx context.Context, campaign string, after fleet.ID, limit int) ([]rollout.Job, error) {
	name, args := "job.open", []any{string(after), limit}
	if campaign != "" {
		name, args = "job.open_of_campaign", []any{campaign, string(after), limit}
	}
	rows, err := s.db.Query(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (rollout.Job, error) { return scanJob(r) })
}

// Lines implements rollout.Jobs.
func (s Rollout) Lines(ctx context.Context, campaign string, after rollout.Job, limit int) ([]rollout.Line, error) {
	rows, err := s.db.Query(ctx, "job.lines", campaign, after.Position, string(after.Device), limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (l rollout.Line, err error) {
		l.Job, err = scanJob(also{r, []any{&l.Endpoint, &l.Manufacturer, &l.Model}})
		return l, err
	})
}

// SetJob implements rollout.Jobs.
func (s Rollout) SetJob(ctx context.Context, before, j rollout.Job) (stored bool, err error) {
	attempts := ""
	if len(j.Attempts) > 0 {
		raw, err := json.Marshal(j.Attempts)
		if err != nil {
			return false, err
		}
		attempts = string(raw)
	}
	err = s.db.Update(ctx, func(tx *Tx) error {
		res, err := tx.Exec("job.set", j.Wave, string(j.State), string(j.Aside), j.Reason, j.Result, j.Tries, attempts,
			j.Zone, j.Due.UnixMicro(), micros(j.Silent), micros(j.BeganAt), micros(j.FirstAt), micros(j.EndedAt),
			j.UpdatedAt.UnixMicro(), j.Campaign, string(j.Device), before.Version)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if stored = n > 0; err != nil || !stored {
			return err
		}
		return jobChanged(tx, before, j)
	})
	return stored, err
}

// jobChanged counts a changed job, frees its device if it is over, and writes
// its audit row. Waiting is no change of state.
func jobChanged(tx *Tx, before, j rollout.Job) error {
	if before.Tally() != j.Tally() || before.Wave != j.Wave {
		if err := tally(tx, j.Campaign, before.Wave, before.Tally(), -1); err != nil {
			return err
		}
		if err := tally(tx, j.Campaign, j.Wave, j.Tally(), 1); err != nil {
			return err
		}
	}
	if j.State.Over() {
		if err := unblocked(tx, "job.unblock", string(j.Device)); err != nil {
			return err
		}
	}
	if before.State == j.State {
		return nil
	}
	return tx.Audit(audit.Row{
		Actor: "system", Action: "update.step", Subject: string(j.Device), Reason: j.Reason,
		Before: string(before.State), After: string(j.State),
	})
}

// Job returns a device's job in a campaign, or rollout.ErrUnknown.
func (s Rollout) Job(ctx context.Context, campaign string, device fleet.ID) (rollout.Job, error) {
	return scanJob(s.db.QueryRow(ctx, "job.get", campaign, string(device)))
}

// OfDevice implements rollout.Jobs.
func (s Rollout) OfDevice(ctx context.Context, device fleet.ID) (rollout.Job, error) {
	return scanJob(s.db.QueryRow(ctx, "job.of_device", string(device)))
}
