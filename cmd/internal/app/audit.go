package app

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"steward/lwm2m/audit"
)

const (
	// maxRefusals bounds the refusals that wait for the database: a flood of them
	// must cost neither memory nor the time of those who are let in.
	maxRefusals = 1024
	// refusalRate bounds them in the long run, in rows a second: everybody who can
	// reach a port can make us refuse him, and the rows stay.
	refusalRate = 20
)

// An auditor writes rows of refusals in the background. It implements audit.Log.
type auditor struct {
	log     *slog.Logger
	db      audit.Log
	rows    chan audit.Row
	dropped atomic.Uint64
	bucket  bucket
}

func newAuditor(db audit.Log, log *slog.Logger) *auditor {
	return &auditor{log: log, db: db, rows: make(chan audit.Row, maxRefusals), bucket: bucket{left: maxRefusals}}
}

// Audit implements audit.Log. It queues the row and does not fail.
func (a *auditor) Audit(_ context.Context, r audit.Row) error {
	a.add(r)
	return nil
}

// add queues a row, or counts it as dropped. It does not block.
func (a *auditor) add(r audit.Row) {
	if !a.bucket.take(time.Now()) {
		a.dropped.Add(1)
		return
	}
	select {
	case a.rows <- r:
	default:
		a.dropped.Add(1)
	}
}

// A bucket lets maxRefusals rows pass at once, and refusalRate a second.
type bucket struct {
	mu   sync.Mutex
	left float64
	at   time.Time // of left
}

func (b *bucket) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.at.IsZero() {
		b.left = min(maxRefusals, b.left+now.Sub(b.at).Seconds()*refusalRate)
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
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
