package sqlite

import (
	"context"
	"sync"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
)

const (
	// FlushEvery is how often numbers of notifications are to go to their series: of
	// those of one resource in between, the last is written. A crash can lose as much.
	FlushEvery = 10 * time.Second
	// maxPending bounds the numbers that wait; others are written at once.
	maxPending = 1 << 16
	// flushBatch is how many values share a transaction.
	flushBatch = 512
)

// pending holds numbers of notifications on their way to their series.
type pending struct {
	mu  sync.Mutex
	all map[pendingKey]server.Report
}

type pendingKey struct {
	device fleet.ID
	path   lwm2m.Path
}

// add takes r if it may wait, and reports whether it did.
func (p *pending) add(r *server.Report) bool {
	if r.From != server.FromNotify || r.Past || !r.Entry.Time.IsZero() || !numeric(r.Entry.Value.Kind()) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := pendingKey{r.Device, r.Entry.Path}
	if old, ok := p.all[key]; ok {
		if !old.At.After(r.At) {
			p.all[key] = *r
		}
		return true
	}
	if len(p.all) >= maxPending {
		return false
	}
	if p.all == nil {
		p.all = map[pendingKey]server.Report{}
	}
	p.all[key] = *r
	return true
}

func (p *pending) take() []server.Report {
	p.mu.Lock()
	all := p.all
	p.all = nil
	p.mu.Unlock()
	out := make([]server.Report, 0, len(all))
	for _, r := range all {
		out = append(out, r)
	}
	return out
}

// numeric reports whether values of a kind are curves: each of them counts.
func numeric(k lwm2m.Kind) bool {
	return k == lwm2m.KindInteger || k == lwm2m.KindUnsigned || k == lwm2m.KindFloat
}

// Flush writes the numbers that wait.
func (s Series) Flush(ctx context.Context) error {
	all := s.db.pending.take()
	if len(all) == 0 {
		return nil
	}
	rules, err := s.db.retentionRules(ctx)
	if err != nil {
		return err
	}
	for first := 0; first < len(all); first += flushBatch {
		part := all[first:min(first+flushBatch, len(all))]
		err := s.db.UpdateRepeatable(ctx, func(tx *Tx) error {
			for i := range part {
				if err := putSample(tx, rules, &part[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
