package sqlite

import (
	"context"
	"database/sql"
	"time"

	"steward/lwm2m"
)

// Bounds of what is kept of values over time.
const (
	// maxDaySamples is how many values are kept of one device and day: 100 resources
	// each five minutes, or one each three seconds.
	maxDaySamples = 30_000
	// maxSamples is how many values are kept of all devices together, about 100 bytes
	// each: the oldest days go first.
	maxSamples = 20_000_000
	// pruneBatch is how many rows one transaction removes: nobody waits long for it.
	pruneBatch = 2000
)

// SeriesBounds are limits on what is kept; zero fields take the defaults.
type SeriesBounds struct {
	PerDeviceDay int // 30,000 values
	Total        int // 20,000,000 values
	Days         int // most days, whatever rules say; 0: as they say
}

// Prune removes the values whose time is over at now, and what is beyond the
// bounds, in small transactions.
func (s Series) Prune(ctx context.Context, now time.Time, b SeriesBounds) error {
	if b.PerDeviceDay == 0 {
		b.PerDeviceDay = maxDaySamples
	}
	if b.Total == 0 {
		b.Total = maxSamples
	}
	days, err := s.days(ctx)
	if err != nil {
		return err
	}
	today := now.UnixMicro() / dayMicros
	for _, day := range days {
		if err := s.expire(ctx, day, today, b.Days); err != nil {
			return err
		}
		if day >= today-1 {
			if err := s.thin(ctx, day, b.PerDeviceDay); err != nil {
				return err
			}
		}
	}
	return s.bound(ctx, days, b.Total)
}

// expire removes what is over of one day. Nothing is kept longer than most days; 0 is
// no bound.
func (s Series) expire(ctx context.Context, day, today int64, most int) error {
	rules, err := s.db.retentionRules(ctx)
	if err != nil {
		return err
	}
	rows, err := s.db.Query(ctx, "series.kept_paths", day)
	if err != nil {
		return err
	}
	paths, err := collect(rows, func(r *sql.Rows) (path string, err error) { return path, r.Scan(&path) })
	if err != nil {
		return err
	}
	for _, text := range paths {
		p, err := lwm2m.ParseNode(text)
		if err != nil {
			return err
		}
		days := int64(rules.of(p))
		if most > 0 {
			days = min(days, int64(most))
		}
		if days == 0 || day < today-days {
			if _, err := s.db.remove(ctx, -1, "series.drop_path", day, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// thin removes the oldest values of devices that have too many in a day.
func (s Series) thin(ctx context.Context, day int64, most int) error {
	type crowd struct {
		device string
		n      int
	}
	rows, err := s.db.Query(ctx, "series.crowded", day, most)
	if err != nil {
		return err
	}
	crowded, err := collect(rows, func(r *sql.Rows) (c crowd, err error) { return c, r.Scan(&c.device, &c.n) })
	if err != nil {
		return err
	}
	for _, c := range crowded {
		if _, err := s.db.remove(ctx, c.n-most, "series.trim", day, c.device); err != nil {
			return err
		}
	}
	return nil
}

// bound removes the oldest values until there are no more than most.
func (s Series) bound(ctx context.Context, days []int64, most int) error {
	var n int
	if err := s.db.QueryRow(ctx, "series.count").Scan(&n); err != nil {
		return err
	}
	for _, day := range days {
		if n <= most {
			return nil
		}
		gone, err := s.db.remove(ctx, n-most, "series.drop_day", day)
		if err != nil {
			return err
		}
		n -= gone
	}
	return nil
}

// remove runs a named deletion in batches until nothing is left for it or most are
// gone, -1 for all, and returns how many are.
func (db *DB) remove(ctx context.Context, most int, name string, args ...any) (gone int, err error) {
	for most < 0 || gone < most {
		batch := pruneBatch
		if most >= 0 {
			batch = min(batch, most-gone)
		}
		var n int64
		err := db.Update(ctx, func(tx *Tx) error {
			res, err := tx.Exec(name, append(append([]any{}, args...), batch)...)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil {
			return gone, err
		}
		if gone += int(n); int(n) < batch {
			break
		}
	}
	return gone, nil
}
