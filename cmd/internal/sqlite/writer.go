package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// A writer owns the one writing connection and the statements prepared on it.
// It begins and ends transactions by statement: those of database/sql would
// prepare every statement anew for each of them.
type writer struct {
	conn *sql.Conn
	prep map[string]*sql.Stmt
	tail chainTail

	audited *auditNews
	trouble *trouble // what keeps the file from being written
	holders *holders // to be forgotten
	changes bool     // the group may have made them untrue
}

// A chainTail is the hash of the newest audit row, which the next one names. The
// writer knows it as long as nobody else writes to the file.
type chainTail struct {
	known   bool
	hash    [32]byte
	id      int64 // of the newest row that was written here; 0: none yet
	version int64 // PRAGMA data_version when it was known
}

// close really closes the writing connection, statements first: the last one to
// close is what folds the write-ahead log into the file.
func (w *writer) close() {
	for _, s := range w.prep {
		_ = s.Close() // nothing is under way on it
	}
	_ = w.conn.Close() // back to its pool, which Close closes
}

// commit runs the jobs in one transaction and tells each its outcome.
func (w *writer) commit(group []*job) {
	errs := make([]error, len(group))
	err := w.transact(group, errs)
	w.trouble.note(&err, errs)
	if w.changes {
		w.holders.forget()
		w.changes = false
	}
	if err == nil {
		w.audited.reach(w.tail.id)
	}
	for i, j := range group {
		if errs[i] == nil {
			errs[i] = err
		}
		j.done <- errs[i]
	}
}

// transact runs the jobs in one transaction, and leaves their errors in errs. Its
// own error undoes them all. Each job runs below a savepoint of its own, for which
// SQLite copies every page that it changes; those that are repeatable do without,
// unless one of them fails.
func (w *writer) transact(group []*job, errs []error) error {
	if err := w.control("writer.begin"); err != nil {
		return err
	}
	err := w.lookAround()
	bare := err == nil && w.runBare(group)
	if err == nil && !bare {
		w.tail.known, w.tail.id = false, 0
		err = errors.Join(w.control("writer.rollback"), w.control("writer.begin"))
	}
	for i, j := range group {
		if err != nil {
			break
		}
		if !bare || !j.repeatable {
			errs[i], err = w.runOne(j)
		}
	}
	if err == nil {
		err = w.control("writer.commit")
	}
	if err != nil {
		w.tail.known, w.tail.id = false, 0
		return errors.Join(err, w.control("writer.rollback"))
	}
	return nil
}

// runBare runs the repeatable jobs without savepoints. It returns false if one
// failed, or nobody waits for it any more: then nothing of them may be kept.
func (w *writer) runBare(group []*job) bool {
	for _, j := range group {
		if j.repeatable && (j.ctx.Err() != nil || runSafely(j.run, &Tx{ctx: context.Background(), w: w}) != nil) {
			return false
		}
	}
	return true
}

// control runs a statement that has neither arguments nor a result.
func (w *writer) control(name string) error {
	_, err := (&Tx{ctx: context.Background(), w: w}).Exec(name)
	return err
}

// lookAround makes sure that what the writer remembers of the file is still true:
// it was, unless somebody else wrote to it.
func (w *writer) lookAround() error {
	var version int64
	err := (&Tx{ctx: context.Background(), w: w}).QueryRow("writer.version").Scan(&version)
	if err == nil && version != w.tail.version {
		w.tail = chainTail{version: version}
	}
	return err
}

// runOne runs j below a savepoint. broken is an error of the transaction itself,
// after which nothing of the group can be kept.
func (w *writer) runOne(j *job) (failed, broken error) {
	if err := j.ctx.Err(); err != nil {
		return err, nil
	}
	if err := w.control("writer.save"); err != nil {
		return nil, err
	}
	tail := w.tail
	failed = runSafely(j.run, &Tx{ctx: context.WithoutCancel(j.ctx), w: w})
	if failed != nil {
		w.tail = tail
		if err := w.control("writer.undo"); err != nil {
			return failed, err
		}
	}
	return failed, w.control("writer.release")
}

// runSafely turns a panic of fn into an error: the writer serves everybody.
func runSafely(fn func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a write: %v", p)
		}
	}()
	return fn(tx)
}
