package app

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"steward/cmd/internal/durable"
	"steward/cmd/internal/sqlite"
	"steward/lwm2m/audit"
)

const (
	archiveEvery = time.Hour      // how often old audit rows are looked for
	archiveSpan  = 24 * time.Hour // rows of less time make no file of their own
	archiveRows  = 100_000        // rows of one file at most, some 50 MiB
)

// errArchive reports a file of audit rows that cannot stand for those in the database.
var errArchive = errors.New("archive of audit rows")

// archiveAudit moves audit rows that are old enough to files, until ctx ends.
func (a *App) archiveAudit(ctx context.Context) error {
	if a.cfg.Kept.Audit == 0 {
		return nil
	}
	tick := time.NewTicker(archiveEvery)
	defer tick.Stop()
	for {
		now := a.now()
		to := archiver{a.dir.file(dirAudit), a.db, now}
		a.movingAudit.Lock()
		err := to.run(ctx, now.Add(-a.cfg.Kept.Audit))
		a.movingAudit.Unlock()
		a.logError(ctx, "archiving audit rows", err)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// An archiver moves audit rows of a database to files of a directory.
type archiver struct {
	dir string
	db  *sqlite.DB
	now time.Time
}

// run moves the rows before a time to files. A file is on the disk and was read
// again before any row of it is removed; what a crash left half done is done first.
func (a archiver) run(ctx context.Context, before time.Time) error {
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return err
	}
	if err := durable.SyncDirectory(filepath.Dir(a.dir)); err != nil { // or a crash takes the directory, and rows with it
		return err
	}
	for {
		if err := a.dropArchived(ctx); err != nil {
			return err
		}
		more, err := a.writeArchive(ctx, before)
		if err != nil || !more {
			return err
		}
	}
}

// writeArchive writes the oldest rows to a file, and reports whether there were enough
// of them.
func (a archiver) writeArchive(ctx context.Context, before time.Time) (bool, error) {
	base, err := a.db.AuditBase(ctx)
	if err != nil {
		return false, err
	}
	_, later, err := a.around(base.ID + 1)
	if err != nil {
		return false, err
	}
	last, err := a.db.AuditOlder(ctx, before, min(base.ID+archiveRows, later-1))
	if err != nil || last <= base.ID {
		return false, err
	}
	first, err := a.db.AuditAfter(ctx, base.ID)
	if err != nil || len(first) == 0 || first[0].At.After(before.Add(-archiveSpan)) {
		return false, err
	}
	name := filepath.Join(a.dir, span{base.ID + 1, last}.name())
	f, err := os.CreateTemp(a.dir, ".new-*")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.Remove(f.Name()) }() // no effect once it has its name
	if err := errors.Join(a.copyRows(ctx, f, base.ID, last), f.Sync(), f.Close()); err != nil {
		return false, err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return false, err
	}
	return true, durable.SyncDirectory(a.dir)
}

// copyRows writes the rows after one up to another.
func (a archiver) copyRows(ctx context.Context, f *os.File, after, last int64) error {
	b := bufio.NewWriter(f)
	w, err := audit.NewWriter(b, audit.NDJSON)
	for err == nil && after < last {
		var rows []audit.Record
		if rows, err = a.db.AuditAfter(ctx, after); err != nil || len(rows) == 0 {
			break
		}
		after = rows[len(rows)-1].ID
		end := slices.IndexFunc(rows, func(r audit.Record) bool { return r.ID > last })
		if end >= 0 {
			rows = rows[:end]
		}
		err = w.Write(rows)
	}
	return errors.Join(err, b.Flush())
}

// dropArchived removes rows from the database, from its first on, that a file has. It
// returns errArchive, and removes nothing, unless the file's rows are a whole chain whose
// last is the one that the database has.
func (a archiver) dropArchived(ctx context.Context) error {
	base, err := a.db.AuditBase(ctx)
	if err != nil {
		return err
	}
	found, _, err := a.around(base.ID + 1)
	if err != nil || found.last == 0 {
		return err
	}
	name, last := filepath.Join(a.dir, found.name()), found.last
	report, err := checkArchive(name, found.first)
	if err != nil {
		return err
	}
	rows, err := a.db.AuditAfter(ctx, last-1)
	if err != nil {
		return err
	}
	if len(rows) == 0 || !report.Good() || report.Last != last || hex.EncodeToString(rows[0].Hash[:]) != report.Head {
		return fmt.Errorf("%w: %s does not end with row %d of the database: move it away", errArchive, name, last)
	}
	err = a.db.Audit(ctx, audit.Row{
		Actor: "system", Action: "audit.archive", Subject: filepath.Base(name), At: a.now,
		Reason: fmt.Sprintf("rows %d to %d are in the file", found.first, last), After: report.Head,
	})
	if err != nil {
		return err
	}
	return a.db.DropAudit(ctx, last)
}

// checkArchive looks at the rows of a file that begins with the row first.
func checkArchive(name string, first int64) (audit.Report, error) {
	f, err := os.Open(name)
	if err != nil {
		return audit.Report{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	var c audit.Checker
	begun := false
	err = audit.Read(f, func(r audit.Record) {
		if !begun && r.ID == first {
			c.Begin(first-1, r.Prev)
		}
		begun = true
		c.Add(r)
	})
	return c.Report(), err
}

// A span is the rows of a file.
type span struct{ first, last int64 }

// name is that of the file. Names sort as rows do.
func (s span) name() string { return fmt.Sprintf("audit-%012d-%012d.ndjson", s.first, s.last) }

// archives returns the files of audit rows in a directory.
func archives(dir string) (all []span, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		var s span
		_, err := fmt.Sscanf(e.Name(), "audit-%d-%d.ndjson", &s.first, &s.last)
		if err == nil && e.Name() == s.name() {
			all = append(all, s)
		}
	}
	return all, nil
}

// around returns the file with the row id, the one that goes furthest; zero if there is
// none; and the first row of those files that begin after it.
func (a archiver) around(id int64) (with span, later int64, err error) {
	later = math.MaxInt64
	all, err := archives(a.dir)
	for _, s := range all {
		switch {
		case s.first > id:
			later = min(later, s.first)
		case s.last >= id && s.last > with.last:
			with = s
		}
	}
	return with, later, err
}
