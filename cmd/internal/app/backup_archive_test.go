package app_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/backup"
	"steward/cmd/internal/sqlite"
	"steward/lwm2m/audit"
)

// archived moves audit rows of a provider that is stopped to files, and leaves a last
// file whose rows the database still has.
func archived(t *testing.T, dir string) {
	t.Helper()
	ctx, folder := t.Context(), filepath.Join(dir, "audit")
	db, err := sqlite.Open(ctx, filepath.Join(dir, "steward.db"))
	if err != nil {
		t.Fatal(err)
	}
	step := func(do func(context.Context, string, *sqlite.DB, time.Time) error, ahead time.Duration) {
		for range 3 {
			row := audit.Row{Actor: "a", Action: "x", Subject: "s", At: time.Now().Add(-time.Hour)}
			if err := db.Audit(ctx, row); err != nil {
				t.Fatal(err)
			}
		}
		if err := do(ctx, folder, db, time.Now().Add(ahead)); err != nil {
			t.Fatal(err)
		}
	}
	const day = 24*time.Hour - time.Millisecond // rows of the archive itself are never old enough
	step(app.Archive, day)
	step(app.Archive, day)
	step(func(ctx context.Context, folder string, db *sqlite.DB, before time.Time) error {
		_, err := app.WriteArchive(ctx, folder, db, before)
		return err
	}, 2*day)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// wholeChain reads the files of audit rows and the database of a provider as one.
func wholeChain(t *testing.T, dir string) (files []string, r audit.Report) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "audit", "*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	var c audit.Checker
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := audit.Read(bytes.NewReader(raw), c.Add); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.CheckAudit(t.Context(), dir, &c, func(audit.Record) {}); err != nil {
		t.Fatal(err)
	}
	return files, c.Report()
}

// TestBackupHasArchives restores a provider whose older audit rows are in files, one of
// them behind a symbolic link: the chain is whole.
func TestBackupHasArchives(t *testing.T) {
	dir, plain := backedUp(t)
	archived(t, dir)
	all, err := filepath.Glob(filepath.Join(dir, "audit", "*.ndjson"))
	if err != nil || len(all) < 3 {
		t.Fatalf("files %v, %v", all, err)
	}
	elsewhere := filepath.Join(t.TempDir(), "first")
	if err := os.Rename(all[0], elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, all[0]); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := app.BackupStopped(t.Context(), stopped(t, dir), &out); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "new")
	got, err := restore(t, out.Bytes(), app.Restore{Config: stopped(t, to), MachineKey: machineKey(dir)})
	if err != nil || got.Manifest.Format != backup.Format {
		t.Fatalf("format %d, %v", got.Manifest.Format, err)
	}
	files, r := wholeChain(t, to)
	if len(files) != len(all)-1 || !r.Good() || r.Before != 0 || r.First != 1 {
		t.Errorf("%d files, %+v", len(files), r)
	}
	if info, err := os.Lstat(files[0]); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	_, stop := streaming(t, to, nil)
	stop()

	old, err := backup.Unpack(bytes.NewReader(plain), "")
	if err != nil || old.Manifest.Format != 1 || slices.ContainsFunc(old.Manifest.Parts, func(p backup.Part) bool {
		return strings.HasPrefix(p.Name, backup.Audit)
	}) {
		t.Errorf("one without such files: format %d, %v", old.Manifest.Format, err)
	}
}
