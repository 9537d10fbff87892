package services

import (
	"context"
	"errors"

	"steward/cmd/internal/sqlite"
	"steward/lwm2m/audit"
	"steward/web"
)

// needsReview reports whether another person must approve a job: the revocation of
// more than one device's certificates, where somebody else could.
func (b *Bulk) needsReview(ctx context.Context, job bulkJob) (bool, error) {
	if job.what.Action != web.BulkRevoke || len(job.devices) < 2 || b.o.Approvers == nil {
		return false, nil
	}
	people, err := b.o.Approvers(ctx)
	return people > 1, translate(err)
}

// keep holds a job until somebody decides. Those that nobody decided about do not
// outlive the process: what was to be revoked then is to be looked at again.
func (b *Bulk) keep(job bulkJob) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) >= maxBulkJobs {
		return &web.Error{Is: web.ErrUnavailable, Detail: "too many bulk actions wait for approval"}
	}
	if b.waiting == nil {
		b.waiting = map[string]bulkJob{}
	}
	b.waiting[job.id] = job
	return nil
}

// take ends the waiting of a job. Of two who decide, one gets it.
func (b *Bulk) take(id string, by web.Actor, on web.BulkDecisionAction) (bulkJob, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	job, ok := b.waiting[id]
	switch {
	case !ok:
		return bulkJob{}, conflict("nobody has to decide about it")
	case !by.Role.Includes(job.what.Action.RoleFor()):
		return bulkJob{}, forbidden("this needs the role " + string(job.what.Action.RoleFor()))
	case on == web.BulkApprove && audit.SamePerson(by.String(), job.by.String()):
		return bulkJob{}, forbidden("another person must approve")
	case on == web.BulkApprove && len(b.jobs) == cap(b.jobs):
		return bulkJob{}, &web.Error{Is: web.ErrUnavailable, Detail: "too many bulk actions wait already"}
	}
	delete(b.waiting, id)
	return job, nil
}

// DecideBulk implements web.Bulks.
func (b *Bulk) DecideBulk(ctx context.Context, by web.Actor, id string, d web.BulkDecision) (web.Bulk, error) {
	if err := checkText("reason", d.Reason, maxReason); err != nil {
		return web.Bulk{}, err
	}
	if d.Action != web.BulkApprove && d.Action != web.BulkReject {
		return web.Bulk{}, web.Invalid("action", "approve or reject")
	}
	if _, err := b.Bulk(ctx, id); err != nil {
		return web.Bulk{}, err
	}
	job, err := b.take(id, by, d.Action)
	if err != nil {
		return web.Bulk{}, err
	}
	ctx = context.WithoutCancel(ctx)
	state := sqlite.BulkRunning
	if d.Action == web.BulkReject {
		state = sqlite.BulkRejected
	}
	row := audit.Row{
		Actor: by.String(), Action: "bulk." + string(d.Action), Subject: id, Reason: d.Reason, Before: sqlite.BulkReview,
		After: state, At: b.o.Now(),
	}
	if err := b.o.DB.Bulks().Decide(ctx, id, state, row); err != nil {
		return web.Bulk{}, translate(err)
	}
	if state == sqlite.BulkRunning {
		select {
		case b.jobs <- job:
		default: // others were faster
			err := b.o.DB.Bulks().End(ctx, id, sqlite.BulkInterrupted, b.o.Now())
			return web.Bulk{}, errors.Join(&web.Error{Is: web.ErrUnavailable, Detail: "too many bulk actions wait"}, err)
		}
	}
	b.o.Events.publish(web.EventBulk, id, nil)
	return b.Bulk(ctx, id)
}
