package sqlite

import (
	"bytes"
	"database/sql"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPartsOfBeforeAreSplit migrates a database whose releases are in one piece.
func TestPartsOfBeforeAreSplit(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "db")
	old, err := sql.Open("sqlite", dsn(path, "rwc"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	before := slices.IndexFunc(names, func(n string) bool { return strings.Contains(n, "0012_") })
	for i, name := range names[:before] {
		script, err := migrations.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := apply(ctx, old, string(script), i+1); err != nil {
			t.Fatal(err)
		}
	}
	image := bytes.Repeat([]byte("abc"), 300_000) // four chunks
	_, err = old.ExecContext(ctx, `INSERT INTO release (id, class, sequence, details, created_at)
		VALUES ('R', 'c', 1, '{}', 0);
		INSERT INTO release_content (release, push, pull, image) VALUES ('R', NULL, x'0102', ?);`, image)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	c, err := db.Rollout().Content(ctx, "R")
	if err != nil || c.Push != nil || !bytes.Equal(c.Pull, []byte{1, 2}) || !bytes.Equal(c.Image, image) {
		t.Errorf("Content = %d, %d, %d bytes, %v", len(c.Push), len(c.Pull), len(c.Image), err)
	}
}
