package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/lwm2m/queue"
)

// Operations implements queue.Store.
type Operations struct{ db *DB }

// Operations returns the store of operations on devices.
func (db *DB) Operations() Operations { return Operations{db} }

// Flags of an operation's row.
const (
	flagRepeats = 1 << iota
	flagWrites
	flagHeld
)

func flagsOf(o queue.Operation) (n int) {
	for _, f := range []struct {
		set bool
		bit int
	}{{o.Repeats, flagRepeats}, {o.Writes, flagWrites}, {o.Held, flagHeld}} {
		if f.set {
			n |= f.bit
		}
	}
	return n
}

// Add implements queue.Store.
func (s Operations) Add(ctx context.Context, o queue.Operation, row *audit.Row) (replaced []string, err error) {
	exchanges, err := exchangesText(o)
	if err != nil {
		return nil, err
	}
	err = s.db.Update(ctx, func(tx *Tx) error {
		replaced = nil
		var open int
		if err := tx.QueryRow("operation.count_open", string(o.Device)).Scan(&open); err != nil {
			return err
		}
		if open >= queue.MaxWaiting {
			return queue.ErrFull
		}
		if o.Writes && open > 0 {
			if replaced, err = replaceWrites(tx, o); err != nil {
				return err
			}
		}
		if _, err := tx.Exec("operation.surplus", string(o.Device), queue.MaxKept); err != nil {
			return err
		}
		if _, err := tx.Exec("operation.insert", o.ID, string(o.Device), o.Kind, o.Path, o.Body, o.Action, o.Actor,
			flagsOf(o), string(o.State), o.Reason, o.Result, exchanges, o.Tries, o.Version,
			o.CreatedAt.UnixMicro(), micro(o.SentAt), micro(o.EndedAt), o.ExpiresAt.UnixMicro()); err != nil {
			return err
		}
		return auditIf(tx, row)
	})
	return replaced, err
}

func auditIf(tx *Tx, row *audit.Row) error {
	if row == nil {
		return nil
	}
	return tx.Audit(*row)
}

// replaceWrites cancels the writes at the end of the queue that o takes the place of.
func replaceWrites(tx *Tx, o queue.Operation) (replaced []string, err error) {
	rows, err := tx.Query("operation.open_of_device", string(o.Device), "", queue.MaxWaiting)
	if err != nil {
		return nil, err
	}
	open, err := collect(rows, func(r *sql.Rows) (queue.Operation, error) { return scanOperation(r) })
	if err != nil {
		return nil, err
	}
	for _, x := range slices.Backward(open) {
		if x.State != queue.Queued {
			continue
		}
		if !x.Writes {
			break
		}
		if x.Path != o.Path {
			continue
		}
		if _, err := tx.Exec("operation.replace", queue.Replaced, o.CreatedAt.UnixMicro(), x.ID); err != nil {
			return nil, err
		}
		if err := tx.Audit(audit.Row{
			Actor: o.Actor, Action: "operation.cancel", Subject: string(o.Device), Reason: queue.Replaced,
			Before: string(queue.Queued), After: string(queue.Cancelled), At: o.CreatedAt,
		}); err != nil {
			return nil, err
		}
		replaced = append(replaced, x.ID)
	}
	return replaced, nil
}

// Set implements queue.Store.
func (s Operations) Set(ctx context.Context, o queue.Operation, row *audit.Row) error {
	exchanges, err := exchangesText(o)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		res, err := tx.Exec("operation.set", o.Body, string(o.State), o.Reason, o.Result, exchanges, o.Tries, o.Version,
			micro(o.SentAt), micro(o.EndedAt), o.ID, o.Version-1)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, queue.ErrConflict)
		}
		return auditIf(tx, row)
	})
}

// Operation implements queue.Store.
func (s Operations) Operation(ctx context.Context, id string) (queue.Operation, error) {
	o, err := scanOperation(s.db.QueryRow(ctx, "operation.by_id", id))
	if errors.Is(err, sql.ErrNoRows) {
		return o, queue.ErrUnknown
	}
	return o, err
}

// Operations implements queue.Store.
func (s Operations) Operations(ctx context.Context, f queue.Filter) ([]queue.Operation, error) {
	if f.Limit == 0 {
		f.Limit = math.MaxInt32
	}
	var rows *sql.Rows
	var err error
	switch {
	case !f.Expired.IsZero():
		rows, err = s.db.Query(ctx, "operation.expired", f.Expired.UnixMicro(), f.Limit)
	case f.Open && f.Device != "":
		rows, err = s.db.Query(ctx, "operation.open_of_device", string(f.Device), f.After, f.Limit)
	case f.Open:
		rows, err = s.db.Query(ctx, "operation.open", f.After, f.Limit)
	case f.Device != "":
		rows, err = s.db.Query(ctx, "operation.newest_of_device", string(f.Device), f.After, f.Limit)
	default:
		rows, err = s.db.Query(ctx, "operation.newest", f.After, f.Limit)
	}
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (queue.Operation, error) { return scanOperation(r) })
}

// Waiting implements queue.Store.
func (s Operations) Waiting(ctx context.Context) (map[fleet.ID]int, error) {
	rows, err := s.db.Query(ctx, "operation.waiting")
	if err != nil {
		return nil, err
	}
	out := map[fleet.ID]int{}
	_, err = collect(rows, func(r *sql.Rows) (struct{}, error) {
		var device string
		var n int
		err := r.Scan(&device, &n)
		out[fleet.ID(device)] = n
		return struct{}{}, err
	})
	return out, err
}

// Prune implements queue.Store.
func (s Operations) Prune(ctx context.Context, before time.Time) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec("operation.prune", before.UnixMicro())
		return err
	})
}

func exchangesText(o queue.Operation) (string, error) {
	if len(o.Exchanges) == 0 {
		return "", nil
	}
	text, err := json.Marshal(o.Exchanges)
	return string(text), err
}

func scanOperation(row interface{ Scan(dest ...any) error }) (o queue.Operation, err error) {
	var exchanges string
	var flags int
	var created, expires int64
	var sent, ended sql.NullInt64
	if err = row.Scan(&o.ID, &o.Device, &o.Kind, &o.Path, &o.Body, &o.Action, &o.Actor, &flags, &o.State, &o.Reason,
		&o.Result, &exchanges, &o.Tries, &o.Version, &created, &sent, &ended, &expires); err != nil {
		return o, err
	}
	o.Repeats, o.Writes, o.Held = flags&flagRepeats != 0, flags&flagWrites != 0, flags&flagHeld != 0
	o.CreatedAt, o.ExpiresAt = fromMicro(created), fromMicro(expires)
	if sent.Valid {
		o.SentAt = fromMicro(sent.Int64)
	}
	if ended.Valid {
		o.EndedAt = fromMicro(ended.Int64)
	}
	if exchanges != "" {
		err = json.Unmarshal([]byte(exchanges), &o.Exchanges)
	}
	return o, err
}
