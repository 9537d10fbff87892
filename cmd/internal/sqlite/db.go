// Package sqlite keeps a provider's state in one SQLite file. It implements the
// Store interface of every package that declares one.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"sync"
	"sync/atomic"

	"steward/lwm2m/fleet"

	_ "modernc.org/sqlite" // the driver registers itself as "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// A DB is one file open twice: a single writing connection, so that writers
// queue in Go rather than fail with SQLITE_BUSY, and a pool of readers. All
// that writes goes through Update, which commits in groups.
type DB struct {
	write, read *sql.DB
	jobs        chan *job
	done        chan struct{} // closed when the writer has ended
	closed      chan struct{} // closed by Close
	closeOnce   sync.Once
	statements  sync.Map // query name → *sql.Stmt on read
	watcher     atomic.Pointer[func(fleet.ID)]
	pending     pending
	standings   standings
	holders     holders
	retention   atomic.Pointer[retentions] // nil: to be read
	trouble     trouble
	audited     auditNews
}

// Open opens or creates the database at path, migrates it and starts its writer,
// which ends with Close. It returns an error if the file's schema is newer than
// this program.
func Open(ctx context.Context, path string) (*DB, error) {
	// SQLite gives what it makes beside the file, the log of writes, the file's own
	// mode: nobody else may read either.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(file.Chmod(0o600), file.Close()); err != nil {
		return nil, err
	}
	write, err := sql.Open("sqlite", dsn(path, "rwc"))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	if err := migrate(ctx, write); err != nil {
		return nil, errors.Join(fmt.Errorf("migrate %s: %w", path, err), write.Close())
	}
	read, err := sql.Open("sqlite", dsn(path, "ro"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), write.Close())
	}
	read.SetMaxOpenConns(maxReaders)
	read.SetMaxIdleConns(maxReaders)
	conn, err := write.Conn(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), read.Close(), write.Close())
	}
	db := &DB{
		write: write, read: read,
		jobs: make(chan *job, maxGroup), done: make(chan struct{}), closed: make(chan struct{}),
		audited: auditNews{fresh: make(chan struct{}, 1)},
	}
	go db.serve(&writer{
		conn: conn, prep: map[string]*sql.Stmt{}, holders: &db.holders, trouble: &db.trouble, audited: &db.audited,
	})
	return db, nil
}

// maxReaders bounds the readers' pool: more would wait for the same cores.
const maxReaders = 8

// Caches of a connection in KiB. What readers look up are single rows: the inner
// pages of the trees are worth keeping, the rest is in the kernel's cache.
const (
	writerCache = 2048
	readerCache = 256
)

// dsn puts the pragmas in the data source name because a pragma belongs to a
// connection, and database/sql opens connections as it pleases. FULL: what was
// acknowledged to a device or a provider must survive a power cut.
func dsn(path, mode string) string {
	cache := writerCache
	if mode == "ro" {
		cache = readerCache
	}
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "foreign_keys(1)", "synchronous(FULL)",
		fmt.Sprintf("cache_size(-%d)", cache),
		"wal_autocheckpoint(16000)",    // pages, 63 MiB: one that is written often is copied seldom
		"journal_size_limit(67108864)", // a log that a long reader made grow shrinks again, to 64 MiB
	}}
	// A path may hold what means something in a URI: "?", "#", "%".
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// migrate runs the migrations that the file has not seen, each in its own
// transaction. PRAGMA user_version counts those already applied.
func migrate(ctx context.Context, db *sql.DB) error {
	names, err := migrationNames()
	if err != nil {
		return err
	}
	var applied int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&applied); err != nil {
		return err
	}
	if applied > len(names) {
		return newer(applied)
	}
	for i, name := range names[applied:] {
		script, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		if err := apply(ctx, db, string(script), applied+i+1); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// migrationNames returns the migrations in their order.
func migrationNames() ([]string, error) { return fs.Glob(migrations, "migrations/*.sql") }

func apply(ctx context.Context, db *sql.DB, script string, version int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // no effect after Commit
	if _, err := tx.ExecContext(ctx, script); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return err
	}
	return tx.Commit()
}

// Close waits for the writer to commit what it was given, then closes the file.
func (db *DB) Close() error {
	db.closeOnce.Do(func() { close(db.closed) })
	<-db.done
	db.statements.Range(func(_, s any) bool {
		_ = s.(*sql.Stmt).Close() //nolint:errcheck,forcetypeassert // only statements are stored
		return true
	})
	return errors.Join(db.read.Close(), db.write.Close())
}

// QueryRow reads at most one row by the named query.
func (db *DB) QueryRow(ctx context.Context, name string, args ...any) *sql.Row {
	stmt, err := db.statement(ctx, name) //nolint:sqlclosecheck // kept for the next call
	if err != nil {                      // the same error comes back from Scan
		return db.read.QueryRowContext(ctx, query(name), args...)
	}
	return stmt.QueryRowContext(ctx, args...)
}

// rowByKey is QueryRow by a query that finds its row at once. It is over before
// anybody could interrupt it, so that nothing is set up to do so.
func (db *DB) rowByKey(ctx context.Context, name string, key []byte) *sql.Row {
	if ctx.Err() == nil {
		ctx = context.WithoutCancel(ctx)
	}
	return db.QueryRow(ctx, name, key)
}

// Query reads rows by the named query. The caller closes them.
func (db *DB) Query(ctx context.Context, name string, args ...any) (*sql.Rows, error) {
	stmt, err := db.statement(ctx, name) //nolint:sqlclosecheck // kept for the next call
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

// statement returns the prepared query, preparing it at its first use.
func (db *DB) statement(ctx context.Context, name string) (*sql.Stmt, error) {
	if s, ok := db.statements.Load(name); ok {
		return s.(*sql.Stmt), nil //nolint:errcheck // only statements are stored
	}
	s, err := db.read.PrepareContext(ctx, query(name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if old, twice := db.statements.LoadOrStore(name, s); twice {
		return old.(*sql.Stmt), s.Close() //nolint:errcheck,sqlclosecheck // only statements are stored; ours is the second
	}
	return s, nil
}
