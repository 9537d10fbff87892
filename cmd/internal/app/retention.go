package app

import (
	"cmp"
	"context"
	"time"

	"steward/cmd/internal/trace"
	"steward/lwm2m/queue"
	"steward/web"
)

// Retention implements web.Settings.
func (a *App) Retention(ctx context.Context) (web.Retention, error) {
	const day = 24 * time.Hour
	k := a.cfg.Kept
	r := web.Retention{
		Events:     int(cmp.Or(k.Events, web.EventsKept) / day),
		Operations: int(cmp.Or(k.Operations, queue.DefaultKeep) / day),
		Values:     k.ValueDays,
		Trace:      cmp.Or(k.Trace, trace.DefaultKeep).Hours(),
		Audit:      int(k.Audit / day),
	}
	if r.Audit > 0 {
		r.AuditArchive = a.dir.file(dirAudit)
	}
	base, err := a.db.AuditBase(ctx)
	r.AuditFrom = base.ID
	return r, err
}
