package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"steward/lwm2m/audit"
)

// Audit appends a row in a transaction of its own (audit.Log).
func (db *DB) Audit(ctx context.Context, r audit.Row) error {
	return db.Update(ctx, func(tx *Tx) error { return tx.Audit(r) })
}

// AuditBefore returns up to limit records, the newest first, older than the
// record id before; 0 starts at the newest. A subject other than "" selects.
func (db *DB) AuditBefore(ctx context.Context, subject string, before int64, limit int) ([]audit.Record, error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	name, args := "audit.before", []any{before, limit}
	if subject != "" {
		name, args = "audit.subject_before", []any{subject, before, limit}
	}
	rows, err := db.Query(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanAudit)
}

// verifyPage is how many audit rows are checked at a time: about 300 KiB, a few
// milliseconds.
const verifyPage = 1000

// AuditAfter returns the next records after the one with that id, in order; none at
// the end.
func (db *DB) AuditAfter(ctx context.Context, id int64) ([]audit.Record, error) {
	rows, err := db.Query(ctx, "audit.from", id, verifyPage)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanAudit)
}

// CheckAudit has c look at all audit rows of the database at path, which may be in use,
// and changes nothing. Each is shown to see. If c has seen none before, the chain begins
// at AuditBase.
func CheckAudit(ctx context.Context, path string, c *audit.Checker, see func(audit.Record)) error {
	read, err := sql.Open("sqlite", dsn(path, "ro"))
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	read.SetMaxOpenConns(1)
	defer func() { _ = read.Close() }() // nothing was written
	db := &DB{read: read}
	if c.Report().Rows == 0 {
		base, err := db.AuditBase(ctx)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		told, err := db.vouched(ctx, base)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if told { // else the rows before are missing
			c.Begin(base.ID, base.Hash)
		}
	}
	for last := int64(0); ; {
		page, err := db.AuditAfter(ctx, last)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		for _, r := range page {
			c.Add(r)
			see(r)
			last = r.ID
		}
		if len(page) < verifyPage {
			return nil
		}
	}
}

// VerifyAudit checks the whole chain of audit rows and returns their number. It
// returns audit.ErrChain, with the number of rows that are good, if a row was
// altered or taken out. The chain begins at AuditBase, which a row must tell of. Rows
// taken off the end leave no trace in the chain.
func (db *DB) VerifyAudit(ctx context.Context) (n int64, err error) {
	for was := (AuditBase{ID: -1}); ; {
		base, failed := db.AuditBase(ctx)
		if failed != nil {
			return n, failed
		}
		if base == was { // no rows went to files meanwhile
			return n, err
		}
		if n, err = db.verifyAfter(ctx, base); !errors.Is(err, audit.ErrChain) {
			return n, err
		}
		was = base
	}
}

// verifyAfter is VerifyAudit of the rows after base.
func (db *DB) verifyAfter(ctx context.Context, base AuditBase) (n int64, err error) {
	switch told, err := db.vouched(ctx, base); {
	case err != nil:
		return 0, err
	case !told:
		return 0, fmt.Errorf("%w: no row tells that those up to %d were archived", audit.ErrChain, base.ID)
	}
	prev, last := base.Hash, base.ID
	for {
		page, err := db.AuditAfter(ctx, last)
		if err != nil {
			return n, err
		}
		if err := audit.Verify(prev, page); err != nil {
			return n, err
		}
		n += int64(len(page))
		if len(page) < verifyPage {
			return n, nil
		}
		prev, last = page[len(page)-1].Hash, page[len(page)-1].ID
	}
}

func scanAudit(rows *sql.Rows) (audit.Record, error) {
	var r audit.Record
	var at int64
	var prev, hash []byte
	err := rows.Scan(&r.ID, &at, &r.Actor, &r.Action, &r.Subject, &r.Reason, &r.Before, &r.After, &prev, &hash)
	r.At = time.UnixMicro(at).UTC()
	copy(r.Prev[:], prev)
	copy(r.Hash[:], hash)
	return r, err
}

// collect reads all rows with scan and closes them.
func collect[T any](rows *sql.Rows, scan func(*sql.Rows) (T, error)) ([]T, error) {
	defer func() { _ = rows.Close() }() // Err below says what went wrong
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
