package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"steward/lwm2m/audit"
	"steward/suit/rollout"
)

// campaignDetails is what of a campaign stands in one column: nothing selects by
// it.
type campaignDetails struct {
	Plan       rollout.Plan          `json:"plan"`
	Size       int                   `json:"size,omitempty"`
	Resumes    rollout.CampaignState `json:"resumes,omitempty"`
	Since      time.Time             `json:"since,omitzero"`
	Wave       int                   `json:"wave,omitempty"`
	Waves      []rollout.Wave        `json:"waves,omitempty"`
	ApprovedBy string                `json:"approved_by,omitempty"`
	StartedAt  time.Time             `json:"started_at,omitzero"`
	TailAt     time.Time             `json:"tail_at,omitzero"`
	EndedAt    time.Time             `json:"ended_at,omitzero"`
	Closing    bool                  `json:"closing,omitempty"`
	TailWaived rollout.Counts        `json:"tail_waived,omitempty"`
}

func campaignColumn(c rollout.Campaign) (string, error) {
	raw, err := json.Marshal(campaignDetails{
		c.Plan, c.Size, c.Resumes, c.Since, c.Wave, c.Waves, c.ApprovedBy, c.StartedAt, c.TailAt, c.EndedAt, c.Closing,
		c.TailWaived,
	})
	return string(raw), err
}

func scanCampaign(row scanner) (c rollout.Campaign, err error) {
	var created int64
	var details string
	err = row.Scan(&c.ID, &c.Name, &c.Release, &c.Delivery, &c.State, &created, &c.CreatedBy, &c.Reason, &details,
		&c.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return c, rollout.ErrUnknown
	}
	if err != nil {
		return c, err
	}
	var d campaignDetails
	if err := json.Unmarshal([]byte(details), &d); err != nil {
		return c, err
	}
	c.Plan, c.Size, c.Resumes, c.Since, c.Wave, c.Waves = d.Plan, d.Size, d.Resumes, d.Since, d.Wave, d.Waves
	c.ApprovedBy, c.StartedAt, c.TailAt, c.EndedAt, c.Closing = d.ApprovedBy, d.StartedAt, d.TailAt, d.EndedAt, d.Closing
	c.TailWaived, c.CreatedAt = d.TailWaived, fromMicro(created)
	return c, nil
}

// AddCampaign implements rollout.Campaigns.
func (s Rollout) AddCampaign(ctx context.Context, c rollout.Campaign, jobs []rollout.Job) error {
	details, err := campaignColumn(c)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.Exec("campaign.insert", c.ID, c.Name, c.Release, string(c.Delivery), string(c.State),
			c.CreatedAt.UnixMicro(), c.CreatedBy, c.Reason, details); err != nil {
			return err
		}
		if _, err := insertJobs(tx, jobs); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: c.CreatedBy, Action: "campaign.draft", Subject: c.ID, Reason: c.Name, After: string(c.State),
		})
	})
}

// Campaign implements rollout.Campaigns.
func (s Rollout) Campaign(ctx context.Context, id string) (rollout.Campaign, error) {
	return scanCampaign(s.db.QueryRow(ctx, "campaign.get", id))
}

// Counts implements rollout.Campaigns.
func (s Rollout) Counts(ctx context.Context, id string) (map[int]rollout.Counts, error) {
	rows, err := s.db.Query(ctx, "campaign.counts", id)
	if err != nil {
		return nil, err
	}
	out := map[int]rollout.Counts{}
	_, err = collect(rows, func(r *sql.Rows) (struct{}, error) {
		var wave, n int
		var tally rollout.Tally
		err := r.Scan(&wave, &tally, &n)
		if out[wave] == nil {
			out[wave] = rollout.Counts{}
		}
		out[wave][tally] = n
		return struct{}{}, err
	})
	return out, err
}

// ListCampaigns implements rollout.Campaigns.
func (s Rollout) ListCampaigns(ctx context.Context, before string, limit int) ([]rollout.Campaign, error) {
	rows, err := s.db.Query(ctx, "campaign.list", before, before, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (rollout.Campaign, error) { return scanCampaign(r) })
}

// Unfinished implements rollout.Campaigns.
func (s Rollout) Unfinished(ctx context.Context) ([]rollout.Campaign, error) {
	rows, err := s.db.Query(ctx, "campaign.unfinished")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (rollout.Campaign, error) { return scanCampaign(r) })
}

// SetCampaign implements rollout.Campaigns.
func (s Rollout) SetCampaign(ctx context.Context, c rollout.Campaign, ch rollout.Change) error {
	details, err := campaignColumn(c)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		have, err := scanCampaign(tx.QueryRow("campaign.get", c.ID))
		if err != nil {
			return err
		}
		if have.Version != c.Version {
			return rollout.ErrMoved
		}
		if _, err := tx.Exec("campaign.set", string(c.State), c.Reason, details, c.ID); err != nil {
			return err
		}
		for _, do := range ch.Do {
			if err := campaignEffect(tx, c, ch, do); err != nil {
				return err
			}
		}
		action := "campaign.state"
		if ch.Before == c.State {
			action = "campaign.wave"
		}
		return tx.Audit(audit.Row{
			Actor: ch.Actor, Action: action, Subject: c.ID, Reason: ch.Reason, Before: string(ch.Before),
			After: string(c.State), At: ch.At,
		})
	})
}

// campaignEffect does what a change does to many jobs, and counts them once.
func campaignEffect(tx *Tx, c rollout.Campaign, ch rollout.Change, do rollout.CampaignEffect) error {
	at := ch.At.UnixMicro()
	var err error
	switch do {
	case rollout.WakeJobs:
		_, err = tx.Exec("campaign.wake_jobs", at, c.ID)
		return err
	case rollout.MoveAside:
		_, err = tx.Exec("campaign.move_aside", len(c.Waves), c.ID, ch.Left)
	case rollout.AbortJobs:
		if _, err = tx.Exec("campaign.abort_jobs", c.Reason, at, c.ID); err == nil {
			err = unblocked(tx, "campaign.unblock", c.ID, at)
		}
	}
	if err != nil {
		return err
	}
	if _, err := tx.Exec("campaign.forget_counts", c.ID); err != nil {
		return err
	}
	_, err = tx.Exec("campaign.recount", c.ID)
	return err
}

// unblocked plans again the jobs that the named statement selects, and counts
// them.
func unblocked(tx *Tx, name string, args ...any) error {
	rows, err := tx.Query(name, args...)
	if err != nil {
		return err
	}
	type place struct {
		campaign string
		wave     int
	}
	freed, err := collect(rows, func(r *sql.Rows) (p place, err error) { return p, r.Scan(&p.campaign, &p.wave) })
	if err != nil {
		return err
	}
	for _, p := range freed {
		if err := tally(tx, p.campaign, p.wave, rollout.Tally(rollout.Blocked), -1); err != nil {
			return err
		}
		if err := tally(tx, p.campaign, p.wave, rollout.Tally(rollout.Planned), 1); err != nil {
			return err
		}
	}
	return nil
}

// tally adds n to a tally.
func tally(tx *Tx, campaign string, wave int, t rollout.Tally, n int) error {
	_, err := tx.Exec("campaign.count", campaign, wave, string(t), n)
	return err
}
