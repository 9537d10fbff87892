package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/audit"
	"steward/web/once"
)

// ErrClosed reports a write after Close.
var ErrClosed = errors.New("database closed")

const (
	maxGroup = 512                  // jobs committed together at most: bounds the wait of the first
	linger   = 2 * time.Millisecond // how long a group waits for company when it has any
	lingers  = 3                    // how often, at most, while it comes
	company  = 4                    // the fewest jobs for which a group waits again
)

// A job is one Update waiting for its group.
type job struct {
	ctx        context.Context //nolint:containedctx // it travels with the call that it belongs to
	run        func(*Tx) error
	repeatable bool
	done       chan error
}

// A Tx is the part of a write transaction that one Update sees.
type Tx struct {
	ctx context.Context //nolint:containedctx // lives no longer than the Update
	w   *writer
}

// Update runs fn in a write transaction and returns after the commit reached the
// disk. Updates that arrive together share one commit, but not their fate: one
// whose fn returns an error is undone alone. fn must not call Update, must use
// only tx, and may run after ctx has ended only if it had already begun.
func (db *DB) Update(ctx context.Context, fn func(tx *Tx) error) error {
	return db.submit(&job{ctx: ctx, run: fn, done: make(chan error, 1)})
}

// UpdateRepeatable is Update for an fn that may run twice, and nearly always
// succeeds: it changes nothing but through tx, and costs less.
func (db *DB) UpdateRepeatable(ctx context.Context, fn func(tx *Tx) error) error {
	return db.submit(&job{ctx: ctx, run: fn, repeatable: true, done: make(chan error, 1)})
}

func (db *DB) submit(j *job) error {
	ctx := j.ctx
	if key, ok := once.KeyOf(ctx); ok {
		j.run = marking(key, j.run)
	}
	select {
	case db.jobs <- j:
	case <-db.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-j.done:
		return err
	case <-db.done: // Close came between; the writer drained what it saw
		select {
		case err := <-j.done:
			return err
		default:
			return ErrClosed
		}
	}
}

// serve runs groups of jobs until Close.
func (db *DB) serve(w *writer) {
	defer close(db.done)
	defer w.close()
	for {
		select {
		case j := <-db.jobs:
			w.commit(db.group(j))
		case <-db.closed:
			for {
				select {
				case j := <-db.jobs:
					w.commit([]*job{j})
				default:
					return
				}
			}
		}
	}
}

// group returns first and what else waits, lingering if anything does, and again
// while many come: a lone writer must not pay for company that does not come, and
// what many write costs the less the more of it is committed at once.
func (db *DB) group(first *job) []*job {
	group, before := []*job{first}, 0
	for lingered := 0; len(group) < maxGroup; {
		select {
		case j := <-db.jobs:
			group = append(group, j)
			continue
		default:
		}
		if len(group) == 1 || lingered == lingers || lingered > 0 && len(group) < before+company {
			return group
		}
		before = len(group)
		time.Sleep(linger)
		lingered++
	}
	return group
}

// Exec runs the named statement.
func (tx *Tx) Exec(name string, args ...any) (sql.Result, error) {
	stmt, err := tx.statement(name) //nolint:sqlclosecheck // kept for the next call
	if err != nil {
		return nil, err
	}
	tx.w.changes = tx.w.changes || forgetful(name)
	res, err := stmt.ExecContext(tx.ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return res, nil
}

// QueryRow reads at most one row as the transaction sees it.
func (tx *Tx) QueryRow(name string, args ...any) *sql.Row {
	stmt, err := tx.statement(name) //nolint:sqlclosecheck // kept for the next call
	if err != nil {                 // the same error comes back from Scan
		return tx.w.conn.QueryRowContext(tx.ctx, query(name), args...)
	}
	return stmt.QueryRowContext(tx.ctx, args...)
}

// Query reads rows as the transaction sees them. The caller closes them.
func (tx *Tx) Query(name string, args ...any) (*sql.Rows, error) {
	stmt, err := tx.statement(name) //nolint:sqlclosecheck // kept for the next call
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(tx.ctx, args...)
}

// statement returns the prepared query, preparing it at its first use.
func (tx *Tx) statement(name string) (*sql.Stmt, error) {
	if s, ok := tx.w.prep[name]; ok {
		return s, nil
	}
	s, err := tx.w.conn.PrepareContext(tx.ctx, query(name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	tx.w.prep[name] = s
	return s, nil
}

// Audit appends a row to the chain, in the same transaction as the change.
func (tx *Tx) Audit(r audit.Row) error {
	if r.At.IsZero() {
		r.At = time.Now()
	}
	r.At = r.At.Truncate(time.Microsecond) // what the column keeps is what is hashed
	prev, err := tx.lastHash()
	if err != nil {
		return err
	}
	hash := audit.Hash(prev, r)
	res, err := tx.Exec("audit.insert", r.At.UnixMicro(), r.Actor, r.Action, r.Subject, r.Reason,
		r.Before, r.After, prev[:], hash[:])
	tail := &tx.w.tail
	if err == nil {
		tail.id, err = res.LastInsertId()
	}
	tail.hash, tail.known = hash, err == nil
	return err
}

// lastHash returns the hash of the newest audit row, zeros if there is none.
func (tx *Tx) lastHash() (prev [32]byte, err error) {
	if tx.w.tail.known {
		return tx.w.tail.hash, nil
	}
	var last []byte
	switch err := tx.QueryRow("audit.last").Scan(&last); {
	case err == nil:
		copy(prev[:], last)
	case !errors.Is(err, sql.ErrNoRows):
		return prev, fmt.Errorf("audit.last: %w", err)
	}
	return prev, nil
}
