package app_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/sqlite"
	"steward/lwm2m/audit"
)

// chained is a database with rows of so many days, one an hour, the newest now.
type chained struct {
	path, dir string
	db        *sqlite.DB
	now       time.Time
}

func newChained(t *testing.T, days int) *chained {
	t.Helper()
	data := t.TempDir()
	c := &chained{path: filepath.Join(data, "steward.db"), dir: filepath.Join(data, "audit"), now: time.Now()}
	var err error
	if c.db, err = sqlite.Open(t.Context(), c.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.db.Close(); err != nil {
			t.Error(err)
		}
	})
	err = c.db.Update(t.Context(), func(tx *sqlite.Tx) error {
		for h := days*24 - 1; h >= 0; h-- {
			r := audit.Row{Actor: "a", Action: "x", Subject: "s", At: c.now.Add(-time.Duration(h) * time.Hour)}
			if err := tx.Audit(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *chained) archive(t *testing.T, days int) error {
	t.Helper()
	return app.Archive(t.Context(), c.dir, c.db, c.now.Add(-time.Duration(days)*24*time.Hour))
}

func (c *chained) files(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// verify looks at files and then at the database.
func (c *chained) verify(t *testing.T, files ...string) audit.Report {
	t.Helper()
	var checker audit.Checker
	for _, name := range files {
		f, err := os.Open(filepath.Join(c.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := audit.Read(f, checker.Add); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := sqlite.CheckAudit(t.Context(), c.path, &checker, func(audit.Record) {}); err != nil {
		t.Fatal(err)
	}
	return checker.Report()
}

func TestArchive(t *testing.T) {
	c := newChained(t, 30)
	if err := c.archive(t, 40); err != nil || len(c.files(t)) != 0 {
		t.Fatalf("nothing is that old: %v, %v", err, c.files(t))
	}
	if err := c.archive(t, 29); err != nil || len(c.files(t)) != 0 {
		t.Fatalf("rows of less than a day: %v, %v", err, c.files(t))
	}
	if err := c.archive(t, 20); err != nil {
		t.Fatal(err)
	}
	if err := c.archive(t, 10); err != nil {
		t.Fatal(err)
	}
	want := "audit-000000000001-000000000239.ndjson audit-000000000240-000000000479.ndjson"
	files := c.files(t)
	if got := strings.Join(files, " "); got != want {
		t.Fatalf("files %s, want %s", got, want)
	}
	// 720 rows and two of the archive itself.
	if r := c.verify(t); !r.Good() || r.Before != 479 || r.First != 480 || r.Last != 722 {
		t.Errorf("the database alone: %+v", r)
	}
	if r := c.verify(t, files...); !r.Good() || r.Before != 0 || r.Rows != 722 {
		t.Errorf("archives and the rest: %+v", r)
	}
	if r := c.verify(t, files[1]); r.Good() {
		t.Error("nobody misses the first archive")
	}
	if r := c.verify(t, files[0]); r.Good() {
		t.Error("nobody misses the second archive")
	}
	if r := c.verify(t, files[1], files[0]); r.Good() {
		t.Error("nobody notices that archives are exchanged")
	}
	if n, err := c.db.VerifyAudit(t.Context()); err != nil || n != 243 {
		t.Errorf("VerifyAudit = %d, %v; want 243", n, err)
	}
	rows, err := c.db.AuditBefore(t.Context(), files[1], 0, 9)
	if err != nil || len(rows) != 1 || rows[0].Action != "audit.archive" ||
		rows[0].Reason != "rows 240 to 479 are in the file" {
		t.Errorf("the archive is audited as %+v, %v", rows, err)
	}
}

// TestArchiveAll has all rows be old: the newest stays, for the next follows from it.
func TestArchiveAll(t *testing.T) {
	c := newChained(t, 3)
	if err := c.archive(t, -1); err != nil {
		t.Fatal(err)
	}
	if r := c.verify(t, c.files(t)...); !r.Good() || r.Rows != 74 {
		t.Errorf("%+v, want 74 rows", r)
	}
}

// TestArchiveCrash ends after the file was written: the next run goes on.
func TestArchiveCrash(t *testing.T) {
	c := newChained(t, 10)
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if more, err := app.WriteArchive(t.Context(), c.dir, c.db, c.now.Add(-5*24*time.Hour)); !more || err != nil {
		t.Fatal(more, err)
	}
	if r := c.verify(t); !r.Good() || r.First != 1 {
		t.Errorf("before anything was removed: %+v", r)
	}
	if err := c.archive(t, 3); err != nil {
		t.Fatal(err)
	}
	if r := c.verify(t, c.files(t)...); !r.Good() || len(c.files(t)) != 2 {
		t.Errorf("files %v: %+v", c.files(t), r)
	}
}

// TestArchiveAltered has somebody change a file before its rows are removed: they stay.
func TestArchiveAltered(t *testing.T) {
	for _, change := range []struct{ name, from, to string }{
		{"a row altered", `"actor":"a"`, `"actor":"b"`},
		{"cut off", "}\n", "}"},
		{"of another chain", `"hash":"`, `"hash":"00`},
	} {
		c := newChained(t, 10)
		if err := os.Mkdir(c.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if more, err := app.WriteArchive(t.Context(), c.dir, c.db, c.now.Add(-5*24*time.Hour)); !more || err != nil {
			t.Fatal(more, err)
		}
		name := filepath.Join(c.dir, c.files(t)[0])
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		altered := strings.Replace(string(text), change.from, change.to, 1)
		if change.name == "cut off" {
			altered = string(text[:len(text)-len(text)/3])
		}
		if err := os.WriteFile(name, []byte(altered), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.archive(t, 3); !errors.Is(err, app.ErrArchive) && !errors.Is(err, audit.ErrFormat) {
			t.Errorf("%s: %v, want ErrArchive or ErrFormat", change.name, err)
		}
		if r := c.verify(t); !r.Good() || r.First != 1 || r.Rows != 240 {
			t.Errorf("%s: %+v, want all rows still there", change.name, r)
		}
	}
}

// TestArchiveGap has a database from a backup, of whose archives the first was kept
// elsewhere: its rows are not removed because a later file ends well.
func TestArchiveGap(t *testing.T) {
	c := newChained(t, 30)
	old := filepath.Join(t.TempDir(), "steward.db")
	i, err := sqlite.Inspect(t.Context(), c.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(i.Snapshot(t.Context(), old), i.Close()); err != nil {
		t.Fatal(err)
	}
	for _, days := range []int{20, 10} {
		if err := c.archive(t, days); err != nil {
			t.Fatal(err)
		}
	}
	files := c.files(t)
	if err := os.Remove(filepath.Join(c.dir, files[0])); err != nil {
		t.Fatal(err)
	}
	restored := &chained{path: old, dir: c.dir, now: c.now}
	if restored.db, err = sqlite.Open(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = restored.db.Close() })
	if err := restored.archive(t, 10); err != nil {
		t.Fatal(err)
	}
	got := restored.files(t)
	if r := restored.verify(t, got...); !r.Good() || r.Rows != 722 || !slices.Equal(got, files) {
		t.Errorf("files %v, want %v: %+v", got, files, r)
	}
}

// TestArchiveCut has somebody take rows off the beginning and say that they are in files.
func TestArchiveCut(t *testing.T) {
	c := newChained(t, 30)
	if err := c.archive(t, 20); err != nil {
		t.Fatal(err)
	}
	if n, err := c.db.VerifyAudit(t.Context()); err != nil {
		t.Fatal(n, err)
	}
	if err := c.db.DropAudit(t.Context(), 400); err != nil {
		t.Fatal(err)
	}
	if _, err := c.db.VerifyAudit(t.Context()); !errors.Is(err, audit.ErrChain) {
		t.Errorf("VerifyAudit = %v, want ErrChain", err)
	}
	if r := c.verify(t); r.Good() {
		t.Error("nobody misses rows that no archive has")
	}
}
