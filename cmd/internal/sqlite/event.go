package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"time"

	"steward/web"
)

// Events implements web.EventLog.
type Events struct{ db *DB }

// Events returns the web.EventLog of db.
func (db *DB) Events() Events { return Events{db} }

// Append implements web.EventLog.
func (s Events) Append(ctx context.Context, events []web.Logged) error {
	if len(events) == 0 {
		return nil
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		for _, e := range events {
			_, err := tx.Exec("event.insert", int64(e.ID), //nolint:gosec // G115: counted up from zero
				e.At.UnixMicro(), e.Type, e.Subject, string(e.Data))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// After implements web.EventLog.
func (s Events) After(ctx context.Context, id uint64, limit int) (all []web.Logged, err error) {
	rows, err := s.db.Query(ctx, "event.after", int64(min(id, math.MaxInt64)), limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var e web.Logged
		var at int64
		var data string
		if err := rows.Scan(&e.ID, &at, &e.Type, &e.Subject, &data); err != nil {
			return nil, err
		}
		e.At = time.UnixMicro(at).UTC()
		if data != "" {
			e.Data = json.RawMessage(data)
		}
		all = append(all, e)
	}
	return all, rows.Err()
}

// Bounds implements web.EventLog.
func (s Events) Bounds(ctx context.Context) (oldest, newest uint64, err error) {
	err = s.db.QueryRow(ctx, "event.bounds").Scan(&oldest, &newest)
	return oldest, newest, err
}

// Prune implements web.EventLog.
func (s Events) Prune(ctx context.Context, before time.Time, keep int) error {
	var first int64 // that stays
	err := s.db.QueryRow(ctx, "event.over", keep-1).Scan(&first)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var young int64
	switch err := s.db.QueryRow(ctx, "event.stale", before.UnixMicro()).Scan(&young); {
	case errors.Is(err, sql.ErrNoRows):
		young = math.MaxInt64
	case err != nil:
		return err
	}
	_, err = s.db.remove(ctx, -1, "event.prune", max(first, young))
	return err
}
