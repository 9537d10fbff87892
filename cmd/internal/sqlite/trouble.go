package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"steward/lwm2m/audit"
)

// A trouble remembers why the file could not be written, until a probe could: small
// writes may still find a place that is free.
type trouble struct{ last atomic.Pointer[error] }

// note looks at how a group ended: err is that of all of it, errs are those of its
// jobs. Errors of the disk become audit.ErrStorage.
func (t *trouble) note(err *error, errs []error) {
	bad := mark(err)
	for i := range errs {
		if e := mark(&errs[i]); e != nil {
			bad = e
		}
	}
	if bad != nil {
		t.last.Store(&bad)
	}
}

// mark makes an error of the disk one that wraps audit.ErrStorage, and returns it; nil
// for all others.
func mark(err *error) error {
	if e := (*sqlite.Error)(nil); errors.As(*err, &e) {
		const primary = 0xff // of an extended code
		switch e.Code() & primary {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
			*err = fmt.Errorf("%w: %w", audit.ErrStorage, *err)
			return *err
		}
	}
	return nil
}

// Storage returns why nothing can be stored now, audit.ErrStorage, as far as writes and
// Probe told; nil if it can be.
func (db *DB) Storage() error {
	if err := db.trouble.last.Load(); err != nil {
		return *err
	}
	return nil
}

// Probe tries to write something, and returns what Storage does then: when there is
// space again, somebody must notice.
func (db *DB) Probe(ctx context.Context) error {
	err := db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec("setting.put", "probe", make([]byte, probeSize))
		return err
	})
	if err == nil {
		db.trouble.last.Store(nil)
	}
	return err
}

// probeSize is what a probe writes: more than the page that happens to be free.
const probeSize = 16 << 10
