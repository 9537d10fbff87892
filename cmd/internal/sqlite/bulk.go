package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// ErrNoBulk reports an id that nothing done to many devices has.
var ErrNoBulk = errors.New("no such bulk action")

// maxBulks is how many are kept: the results of 10,000 devices each are some 100 MB.
const maxBulks = 100

// States of a Bulk, and of a device in it.
const (
	BulkReview      = "review" // waits for another person
	BulkRejected    = "rejected"
	BulkRunning     = "running"
	BulkEnded       = "done"
	BulkInterrupted = "interrupted"

	BulkOpen   = "open"
	BulkDone   = "done"
	BulkFailed = "failed"
)

// A Bulk is something that was done to many devices.
type Bulk struct {
	ID, Action, What, Reason, Actor, State string

	Total, Done, Failed int
	CreatedAt, EndedAt  time.Time // EndedAt is zero while it runs
}

// A BulkDevice is what became of one device.
type BulkDevice struct {
	Device    fleet.ID
	Endpoint  string // "" for one that is gone
	State     string
	Detail    string
	Operation string // "": none
	Progress  string // state of Operation
}

// Bulks keeps what was done to many devices.
type Bulks struct{ db *DB }

// Bulks returns the bulk actions of db.
func (db *DB) Bulks() Bulks { return Bulks{db} }

// Begin stores b, in its state, with its devices and an audit row, and forgets the oldest.
func (s Bulks) Begin(ctx context.Context, b Bulk, devices []fleet.ID) error {
	all, err := json.Marshal(devices)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.Exec("bulk.insert", b.ID, b.Action, b.What, b.Reason, b.Actor, b.State, len(devices),
			b.CreatedAt.UnixMicro()); err != nil {
			return err
		}
		if _, err := tx.Exec("bulk.targets", b.ID, string(all)); err != nil {
			return err
		}
		if _, err := tx.Exec("bulk.prune", maxBulks); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: b.Actor, Action: "bulk." + b.Action, Subject: b.ID, Reason: b.Reason, After: b.What, At: b.CreatedAt,
		})
	})
}

// Decide moves one that is in review on, with an audit row.
func (s Bulks) Decide(ctx context.Context, id, state string, row audit.Row) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.Exec("bulk.decide", state, state, row.At.UnixMicro(), id); err != nil {
			return err
		}
		return tx.Audit(row)
	})
}

// Note stores what became of some devices.
func (s Bulks) Note(ctx context.Context, id string, results []BulkDevice) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		var done, failed int
		for _, r := range results {
			if _, err := tx.Exec("bulk.result", r.State, r.Detail, r.Operation, id, string(r.Device)); err != nil {
				return err
			}
			switch r.State {
			case BulkDone:
				done++
			case BulkFailed:
				failed++
			}
		}
		_, err := tx.Exec("bulk.count", done, failed, id)
		return err
	})
}

// End stores that one is over.
func (s Bulks) End(ctx context.Context, id, state string, at time.Time) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec("bulk.end", state, at.UnixMicro(), id)
		return err
	})
}

// Interrupt ends all that a process before this one did not end.
func (s Bulks) Interrupt(ctx context.Context, at time.Time) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec("bulk.interrupt", at.UnixMicro())
		return err
	})
}

// Bulk returns one, or ErrNoBulk.
func (s Bulks) Bulk(ctx context.Context, id string) (Bulk, error) {
	return scanBulk(s.db.QueryRow(ctx, "bulk.get", id))
}

// List returns those that began before the one called before, "" for the last ones,
// the newest first.
func (s Bulks) List(ctx context.Context, before string, limit int) ([]Bulk, error) {
	rows, err := s.db.Query(ctx, "bulk.list", before, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (Bulk, error) { return scanBulk(r) })
}

func scanBulk(r scanner) (b Bulk, err error) {
	var seq, created, ended int64
	err = r.Scan(&seq, &b.ID, &b.Action, &b.What, &b.Reason, &b.Actor, &b.State, &b.Total, &b.Done, &b.Failed,
		&created, &ended)
	if errors.Is(err, sql.ErrNoRows) {
		return b, ErrNoBulk
	}
	b.CreatedAt, b.EndedAt = fromMicro(created), moment(ended)
	return b, err
}

// Results returns what became of the devices after that one, in order of ids: those in
// a state, "" for all.
func (s Bulks) Results(ctx context.Context, id, state string, after fleet.ID, limit int) ([]BulkDevice, error) {
	rows, err := s.db.Query(ctx, "bulk.results", id, string(after), text(state), limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (b BulkDevice, err error) {
		err = r.Scan(&b.Device, &b.Endpoint, &b.State, &b.Detail, &b.Operation, &b.Progress)
		return b, err
	})
}
