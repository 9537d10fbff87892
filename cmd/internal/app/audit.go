package app

import (
	"context"
	"log/slog"
	"sync/atomic"

	"steward/lwm2m/audit"
)

// maxRefusals bounds the refusals that wait for the database: a flood of them
// must cost neither memory nor the time of those who are let in.
const maxRefusals = 1024

// An auditor writes rows of refusals in the background.
type auditor struct {
	log     *slog.Logger
	db      audit.Log
	rows    chan audit.Row
	dropped atomic.Uint64
}

func newAuditor(db audit.Log, log *slog.Logger) *auditor {
	return &auditor{log: log, db: db, rows: make(chan audit.Row, maxRefusals)}
}

// add queues a row, or counts it as dropped. It does not block.
func (a *auditor) add(r audit.Row) {
	select {
	case a.rows <- r:
	default:
		a.dropped.Add(1)
	}
}

// Run writes rows until ctx ends, and what is queued then.
func (a *auditor) Run(ctx context.Context) error {
	for {
		select {
		case r := <-a.rows:
			a.write(context.WithoutCancel(ctx), r)
		case <-ctx.Done():
			for {
				select {
				case r := <-a.rows:
					a.write(context.WithoutCancel(ctx), r)
				default:
					return nil
				}
			}
		}
	}
}

func (a *auditor) write(ctx context.Context, r audit.Row) {
	if n := a.dropped.Swap(0); n > 0 {
		a.log.LogAttrs(ctx, slog.LevelWarn, "refusals not audited: too many", slog.Uint64("dropped", n))
	}
	if err := a.db.Audit(ctx, r); err != nil {
		a.log.LogAttrs(ctx, slog.LevelError, "audit", slog.Any("error", err))
	}
}
