package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// open returns a new database that closes with the test.
func open(tb testing.TB) *DB {
	tb.Helper()
	db, err := Open(tb.Context(), filepath.Join(tb.TempDir(), "steward.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

// TestFiles opens a database where the path means something in a URI and an
// operator left the directory readable: all is in the one file, for us alone.
func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a?mode=memory#b%41 c")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), filepath.Join(dir, "steward.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var names []string
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %v, want 0600", f.Name(), mode)
		}
		names = append(names, f.Name())
	}
	if want := []string{"steward.db", "steward.db-shm", "steward.db-wal"}; !slices.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
}

// TestQueries prepares every embedded statement against the migrated schema,
// so a renamed column fails here and not in production.
func TestQueries(t *testing.T) {
	db := open(t)
	for _, name := range slices.Sorted(maps.Keys(queries())) {
		t.Run(name, func(t *testing.T) {
			stmt, err := db.read.PrepareContext(t.Context(), query(name))
			if err != nil {
				t.Fatal(err)
			}
			defer stmt.Close()
			if !strings.HasSuffix(query(name), ";") {
				t.Error("the driver prepares it anew each time, for the text behind it")
			}
		})
	}
}

func TestForeignKeysOnEveryConnection(t *testing.T) {
	db := open(t)
	for range 3 {
		conn, err := db.read.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var on int
		if err := conn.QueryRowContext(t.Context(), "PRAGMA foreign_keys").Scan(&on); err != nil || on != 1 {
			t.Fatalf("foreign_keys = %d, %v", on, err)
		}
	}
}

// TestGroupCommit lets good and failing writes share groups: each keeps its own fate.
func TestGroupCommit(t *testing.T) {
	db := open(t)
	errOdd := errors.New("odd")
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			err := db.Update(t.Context(), func(tx *Tx) error {
				if _, err := tx.Exec("setting.put", fmt.Sprint(i), []byte{1}); err != nil {
					return err
				}
				if i%2 == 1 {
					return errOdd
				}
				return nil
			})
			if (i%2 == 1) != errors.Is(err, errOdd) {
				t.Errorf("Update %d = %v", i, err)
			}
		})
	}
	wg.Wait()
	for i := range 200 {
		var v []byte
		err := db.QueryRow(t.Context(), "setting.get", fmt.Sprint(i)).Scan(&v)
		if (i%2 == 1) != errors.Is(err, sql.ErrNoRows) {
			t.Errorf("setting %d: %v", i, err)
		}
	}
}

func TestUpdateRefusals(t *testing.T) {
	db := open(t)
	if err := db.Update(t.Context(), func(*Tx) error { panic("boom") }); err == nil {
		t.Error("a panic went unnoticed")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Update(gone, func(*Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Update after cancel = %v", err)
	}
	if err := db.Audit(t.Context(), audit.Row{Action: "x"}); err != nil {
		t.Errorf("the writer did not survive: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("Update after Close = %v, want ErrClosed", err)
	}
}

func TestAuditChain(t *testing.T) {
	db := open(t)
	for i := range 5 {
		if err := db.Audit(t.Context(), audit.Row{Actor: "test", Action: "x", Subject: fmt.Sprint(i % 2)}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := db.AuditBefore(t.Context(), "", 0, 10)
	if err != nil || len(got) != 5 {
		t.Fatalf("AuditBefore = %d rows, %v", len(got), err)
	}
	slices.Reverse(got)
	if err := audit.Verify([32]byte{}, got); err != nil {
		t.Error(err)
	}
	if got, err = db.AuditBefore(t.Context(), "0", got[4].ID, 10); err != nil || len(got) != 2 {
		t.Errorf("AuditBefore of a subject = %d rows, %v; want 2", len(got), err)
	}
}

// TestVerifyAudit alters and removes rows behind the program's back, in a chain
// that is longer than a page.
func TestVerifyAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "steward.db")
	db, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const n = verifyPage + 2
	err = db.Update(t.Context(), func(tx *Tx) error {
		for range n {
			if err := tx.Audit(audit.Row{Actor: "test", Action: "x", Subject: "s"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := db.VerifyAudit(t.Context()); err != nil || got != n {
		t.Fatalf("VerifyAudit = %d, %v; want %d", got, err, n)
	}
	for _, change := range []string{
		"UPDATE audit SET actor = 'other' WHERE id = 1001",
		"DELETE FROM audit WHERE id = 7",
	} {
		conn, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := db.VerifyAudit(t.Context()); !errors.Is(err, audit.ErrChain) {
			t.Errorf("after %s: %v, want ErrChain", change, err)
		}
	}
}

func TestDevices(t *testing.T) {
	s := open(t).Devices()
	ctx := t.Context()
	a := fleet.Device{
		ID: "01A", Factory: fleet.Factory{1}, Endpoint: "a", Ownership: fleet.Expected,
		Tags: []string{"x", "b"}, CreatedAt: time.UnixMicro(5).UTC(),
	}
	plain := fleet.Device{
		ID: "01B", Endpoint: "b", Ownership: fleet.Owned, NoSec: true, CreatedAt: time.UnixMicro(6).UTC(),
	}
	for _, d := range []fleet.Device{a, plain, {ID: "01C", Endpoint: "c", Ownership: fleet.Owned}} {
		if err := s.Put(ctx, d, "test", ""); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.ByFactory(ctx, fleet.Factory{1})
	if err != nil || got.ID != "01A" || !slices.Equal(got.Tags, []string{"b", "x"}) || got.CreatedAt != a.CreatedAt {
		t.Errorf("ByFactory = %+v, %v", got, err)
	}
	if got, err = s.ByEndpoint(ctx, "b"); err != nil || !got.NoSec || got.Factory != (fleet.Factory{}) {
		t.Errorf("ByEndpoint = %+v, %v", got, err)
	}
	if _, err = s.Device(ctx, "none"); !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("Device(none) = %v, want ErrUnknown", err)
	}
	for _, clash := range []fleet.Device{
		{ID: "01D", Endpoint: "a"}, {ID: "01D", Endpoint: "d", Factory: fleet.Factory{1}},
	} {
		if err := s.Put(ctx, clash, "test", ""); !errors.Is(err, fleet.ErrConflict) {
			t.Errorf("Put(%+v) = %v, want ErrConflict", clash, err)
		}
	}
	if list, err := s.List(ctx, "01A", 1); err != nil || len(list) != 1 || list[0].ID != "01B" {
		t.Errorf("List = %v, %v", list, err)
	}
}

// TestCloseFoldsTheLog: after a clean end the database is one file.
func TestCloseFoldsTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "steward.db")
	db, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Audit(t.Context(), audit.Row{Action: "x"})
	_, readErr := db.AuditBefore(t.Context(), "", 0, 1)
	if err := errors.Join(err, readErr, db.Close()); err != nil {
		t.Fatal(err)
	}
	for _, ending := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + ending); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", ending, err)
		}
	}
}

// TestAuditChainWithOthers lets a job fail after its row, and another process write
// in between: the chain goes on from what is stored.
func TestAuditChainWithOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "steward.db")
	var all [2]*DB
	for i := range all {
		db, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		all[i] = db
	}
	row := audit.Row{Actor: "test", Action: "x", Subject: "s"}
	errUndone := errors.New("undone")
	for i := range 6 {
		err := all[i%2].Update(t.Context(), func(tx *Tx) error {
			if err := tx.Audit(row); err != nil {
				return err
			}
			return errUndone
		})
		if !errors.Is(err, errUndone) {
			t.Fatal(err)
		}
		for range 2 {
			if err := all[i%2].Audit(t.Context(), row); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n, err := all[0].VerifyAudit(t.Context()); err != nil || n != 12 {
		t.Errorf("VerifyAudit = %d, %v; want 12", n, err)
	}
}

// TestRepeatable lets repeatable writes, good and failing ones, share groups with
// others: each keeps its own fate, and the audit chain holds.
func TestRepeatable(t *testing.T) {
	db := open(t)
	errThird := errors.New("third")
	var wg sync.WaitGroup
	for i := range 300 {
		update := db.Update
		if i%2 == 0 {
			update = db.UpdateRepeatable
		}
		wg.Go(func() {
			err := update(t.Context(), func(tx *Tx) error {
				if _, err := tx.Exec("setting.put", fmt.Sprint(i), []byte{1}); err != nil {
					return err
				}
				if err := tx.Audit(audit.Row{Action: "x", Subject: fmt.Sprint(i)}); err != nil {
					return err
				}
				if i%3 == 0 && i > 100 {
					return errThird
				}
				return nil
			})
			if (i%3 == 0 && i > 100) != errors.Is(err, errThird) {
				t.Errorf("update %d = %v", i, err)
			}
		})
	}
	wg.Wait()
	for i := range 300 {
		var v []byte
		err := db.QueryRow(t.Context(), "setting.get", fmt.Sprint(i)).Scan(&v)
		if (i%3 == 0 && i > 100) != errors.Is(err, sql.ErrNoRows) {
			t.Errorf("setting %d: %v", i, err)
		}
	}
	if n, err := db.VerifyAudit(t.Context()); err != nil || n != 300-66 {
		t.Errorf("VerifyAudit = %d, %v; want %d", n, err, 300-66)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.UpdateRepeatable(gone, func(*Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("UpdateRepeatable after cancel = %v", err)
	}
}
