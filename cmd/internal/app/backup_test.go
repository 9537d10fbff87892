package app_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/backup"
	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/web"
)

func stopped(t *testing.T, dir string) config.Config {
	t.Helper()
	o := config.Default()
	o.Data, o.Name = dir, "steward"
	cfg, err := config.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// backedUp returns a data directory, and a backup of it that was made while it served.
func backedUp(t *testing.T) (dir string, raw []byte) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	a, stop := streaming(t, dir, nil)
	issue(t, a, "known.example")
	file, err := a.Backup(t.Context(), web.Actor{Name: "test", Role: web.RoleAdmin})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Backup(t.Context(), web.Actor{Name: "test"}); !errors.Is(err, web.ErrConflict) {
		t.Errorf("a second backup meanwhile: %v", err)
	}
	var out bytes.Buffer
	if _, err := file.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	stop()
	return dir, out.Bytes()
}

func restore(t *testing.T, raw []byte, r app.Restore) (app.Restored, error) {
	t.Helper()
	return app.RestoreBackup(t.Context(), bytes.NewReader(raw), r)
}

func machineKey(dir string) string { return filepath.Join(dir, "machine", "key") }

// TestRestoreServes restores a backup of a running provider beside what a killed
// restore left, and serves it.
func TestRestoreServes(t *testing.T) {
	dir, raw := backedUp(t)
	to := filepath.Join(t.TempDir(), "new")
	if err := os.MkdirAll(filepath.Join(to+".restoring", "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to+".restoring/steward.db", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := restore(t, raw, app.Restore{Config: stopped(t, to), MachineKey: machineKey(dir)})
	if err != nil {
		t.Fatal(err)
	}
	if out.Manifest.AuditRows == 0 || out.Report.At.IsZero() {
		t.Errorf("report %+v", out)
	}
	for _, name := range []string{"associations", "admin.token", "backup.tmp"} {
		if _, err := os.Stat(filepath.Join(to, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was restored: %v", name, err)
		}
	}
	a, stop := streaming(t, to, nil)
	defer stop()
	list, err := a.CA().List(t.Context(), est.Query{Name: "known.example"})
	if err != nil || len(list) != 1 {
		t.Errorf("certificates of before: %d, %v", len(list), err)
	}
}

// TestKilledWhileBackingUp has what a killed process leaves: the next start and the
// next backup go on.
func TestKilledWhileBackingUp(t *testing.T) {
	dir, _ := backedUp(t)
	left := filepath.Join(dir, "backup.tmp", "keys")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "half"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := app.BackupStopped(t.Context(), stopped(t, dir), &out); err != nil {
		t.Fatal(err)
	}
	a, err := backup.Unpack(&out, "")
	if err != nil || slices.ContainsFunc(a.Manifest.Parts, func(p backup.Part) bool { return p.Name == "keys/half" }) {
		t.Errorf("parts %v, %v", a.Manifest.Parts, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "backup.tmp")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is left: %v", err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	dir, raw := backedUp(t)
	other := filepath.Join(t.TempDir(), "key")
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	if err := keys.WriteFile(other, []byte(hex.EncodeToString(secret))); err != nil {
		t.Fatal(err)
	}
	altered := bytes.Clone(raw) // the seal stands between manifest and parts
	altered[bytes.Index(raw, []byte(`"program"`))+13] ^= 1
	for name, row := range map[string]struct {
		raw  []byte
		key  string
		want error
	}{
		"no key":               {raw, "", keys.ErrLocked},
		"the key of another":   {raw, other, keys.ErrLocked},
		"a manifest of others": {altered, machineKey(dir), backup.ErrDamaged},
		"cut short":            {raw[:len(raw)/2], machineKey(dir), backup.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			to := filepath.Join(t.TempDir(), "new")
			_, err := restore(t, row.raw, app.Restore{Config: stopped(t, to), MachineKey: row.key})
			if !errors.Is(err, row.want) {
				t.Errorf("restore = %v, want %v", err, row.want)
			}
			if left, err := os.ReadDir(filepath.Dir(to)); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
	_, err := restore(t, raw, app.Restore{Config: stopped(t, dir)})
	if !errors.Is(err, app.ErrOccupied) {
		t.Errorf("a directory in use: %v", err)
	}
}

// TestReplaceKeepsRevocations restores over a directory whose certificate was revoked
// after the backup.
func TestReplaceKeepsRevocations(t *testing.T) {
	dir, raw := backedUp(t)
	a, stop := streaming(t, dir, nil)
	list, err := a.CA().List(t.Context(), est.Query{Name: "known.example"})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if err := a.CA().Revoke(t.Context(), list[0].Hash, est.KeyCompromise, "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := restore(t, raw, app.Restore{Config: stopped(t, dir), Replace: true}); !errors.Is(err, app.ErrLocked) {
		t.Errorf("over a running provider: %v", err)
	}
	stop()
	out, err := restore(t, raw, app.Restore{Config: stopped(t, dir), Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(out.Replaced, app.FileDB)); err != nil {
		t.Errorf("the old directory: %v", err)
	}
	a, stop = streaming(t, dir, nil)
	defer stop()
	if err := a.CA().Live(t.Context(), list[0].Hash, time.Now()); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("what was revoked since: %v", err)
	}
}

// TestRestoreNewer has a database of a later program in the backup.
func TestRestoreNewer(t *testing.T) {
	dir, _ := backedUp(t)
	f, err := os.OpenFile(filepath.Join(dir, app.FileDB), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte{0, 1, 0, 0}, 60) // the user version in the file's header
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	cfg := stopped(t, dir)
	if _, err := app.New(t.Context(), cfg, slog.New(slog.DiscardHandler)); !errors.Is(err, sqlite.ErrNewer) {
		t.Errorf("start = %v", err)
	}
	if err := app.BackupStopped(t.Context(), cfg, &bytes.Buffer{}); !errors.Is(err, sqlite.ErrNewer) {
		t.Errorf("backup = %v", err)
	}
}
