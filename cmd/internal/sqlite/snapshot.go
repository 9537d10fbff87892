package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	"steward/transfer/coordinator"
)

// ErrDatabase reports a database that is damaged, or none of ours.
var ErrDatabase = errors.New("database is damaged")

// ErrNewer reports a database that a later version of the program wrote.
var ErrNewer = errors.New("database was written by a later version of this program")

// maxFaults bounds what is told of a damaged database.
const maxFaults = 10

// An Inspector reads a database file as it is, without migrating it, also while
// another process writes to it.
type Inspector struct{ db *DB }

// Inspect opens a file for reading. It returns ErrDatabase for one that is none.
func Inspect(ctx context.Context, path string) (*Inspector, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	q := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)"}}
	read, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	i := &Inspector{&DB{read: read}}
	if _, err := i.Schema(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", ErrDatabase, path, err), read.Close())
	}
	return i, nil
}

// Close closes the file.
func (i *Inspector) Close() error {
	i.db.statements.Range(func(_, s any) bool {
		_ = s.(*sql.Stmt).Close() //nolint:errcheck,forcetypeassert // only statements are stored
		return true
	})
	return i.db.read.Close()
}

// SchemaVersion is the schema that this program writes: how many migrations there are.
func SchemaVersion() int {
	names, err := migrationNames()
	if err != nil {
		panic(err) // the pattern is ours
	}
	return len(names)
}

// Schema returns the version of the file's schema.
func (i *Inspector) Schema(ctx context.Context) (version int, err error) {
	err = i.db.read.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	return version, err
}

// Check reads the whole file. It returns ErrDatabase with what is wrong, or ErrNewer.
func (i *Inspector) Check(ctx context.Context) error {
	version, err := i.Schema(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDatabase, err)
	}
	if version > SchemaVersion() {
		return newer(version)
	}
	rows, err := i.db.read.QueryContext(ctx, fmt.Sprintf("PRAGMA integrity_check(%d)", maxFaults))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDatabase, err)
	}
	faults, err := collect(rows, func(r *sql.Rows) (s string, err error) { return s, r.Scan(&s) })
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDatabase, err)
	}
	if len(faults) != 1 || faults[0] != "ok" {
		return fmt.Errorf("%w: %q", ErrDatabase, faults)
	}
	return i.checkReferences(ctx)
}

func (i *Inspector) checkReferences(ctx context.Context) error {
	rows, err := i.db.read.QueryContext(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDatabase, err)
	}
	defer func() { _ = rows.Close() }() // Err says what went wrong
	if rows.Next() {
		var table, parent string
		var row, key sql.NullInt64
		err := rows.Scan(&table, &row, &parent, &key)
		return errors.Join(fmt.Errorf("%w: %s refers to a row of %s that is not there", ErrDatabase, table, parent), err)
	}
	return rows.Err()
}

func newer(version int) error {
	return fmt.Errorf("%w: its schema is %d, the newest known here %d; use that version or a backup made before",
		ErrNewer, version, SchemaVersion())
}

// VerifyAudit checks the whole chain of audit rows, see DB.VerifyAudit, and returns
// their number and the hash of the newest.
func (i *Inspector) VerifyAudit(ctx context.Context) (n int64, last [32]byte, err error) {
	if n, err = i.db.VerifyAudit(ctx); err != nil {
		return n, last, err
	}
	newest, err := i.db.AuditBefore(ctx, "", 0, 1)
	if len(newest) > 0 {
		last = newest[0].Hash
	}
	return n, last, err
}

// AuditBase returns the last audit row that the database does not have any more; 0: it
// has all.
func (i *Inspector) AuditBase(ctx context.Context) (int64, error) {
	b, err := i.db.AuditBase(ctx)
	return b.ID, err
}

// Snapshot writes the file as it is at one moment to a new one, without holding up
// those who write to it. The copy is smaller where rows were removed.
func (i *Inspector) Snapshot(ctx context.Context, to string) error {
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil { // SQLite fills an empty file
		return err
	}
	if _, err := i.db.read.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return errors.Join(fmt.Errorf("copy of the database: %w", err), os.Remove(to))
	}
	return nil
}

// Partners returns the partners, as Transfers.ListPartners does.
func (i *Inspector) Partners(ctx context.Context) ([]coordinator.Partner, error) {
	return Transfers{i.db}.ListPartners(ctx)
}
