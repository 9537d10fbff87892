package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/suit/rollout"
)

// An AuditQuery selects audit rows. Zero fields select all.
type AuditQuery struct {
	Subject, Actor string
	Action         string // how the action begins
	Before         int64  // id of the last of the page before; 0 asks for the newest
	Limit          int
}

// AuditRows returns the rows that q selects, the newest first.
func (v View) AuditRows(ctx context.Context, q AuditQuery) ([]audit.Record, error) {
	if q.Before <= 0 {
		q.Before = math.MaxInt64
	}
	name, args := "view.audit", []any{q.Before, q.Limit}
	switch {
	case q.Subject != "":
		name, args = "view.audit_of_subject", append(args, q.Action, text(q.Actor), q.Subject)
	case q.Actor != "":
		name, args = "view.audit_of_actor", append(args, q.Action, q.Actor)
	case q.Action != "":
		name, args = "view.audit_of_action", append(args, q.Action)
	}
	rows, err := v.db.Query(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanAudit)
}

// A JobLine is a job and the name of its device.
type JobLine struct {
	rollout.Job

	Endpoint string
}

// Jobs returns up to limit jobs of a campaign in order of their devices' ids,
// after the given one; "" starts at the first. tally selects those that count as
// it; "" all.
func (v View) Jobs(ctx context.Context, campaign, tally string, after fleet.ID, limit int) ([]JobLine, error) {
	rows, err := v.db.Query(ctx, "view.jobs", campaign, string(after), limit, text(tally))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (l JobLine, err error) {
		l.Job, err = scanJob(also{r, []any{&l.Endpoint}})
		return l, err
	})
}

// RunningCampaigns counts the campaigns under way.
func (v View) RunningCampaigns(ctx context.Context) (n int, err error) {
	err = v.db.QueryRow(ctx, "view.running").Scan(&n)
	return n, err
}

// Deliveries returns the ways in which a release can be brought to devices, or
// rollout.ErrUnknown.
func (v View) Deliveries(ctx context.Context, release string) ([]rollout.Delivery, error) {
	var push, pull bool
	err := v.db.QueryRow(ctx, "view.deliveries", release).Scan(&push, &pull)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, rollout.ErrUnknown
	}
	var out []rollout.Delivery
	if push {
		out = append(out, rollout.Push)
	}
	if pull {
		out = append(out, rollout.Pull)
	}
	return out, err
}
