package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/est"
)

func issue(t *testing.T, a *app.App, host string) est.Issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	out, err := a.CA().IssueServer(t.Context(), host, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func revoke(t *testing.T, a *app.App, c est.Issued) {
	t.Helper()
	if err := a.CA().Revoke(t.Context(), c.Hash, est.KeyCompromise, "test"); err != nil {
		t.Fatal(err)
	}
}

// TestRestoredDatabase puts an older database back into the data directory: what was
// revoked since stays revoked, and what the database never knew as well.
func TestRestoredDatabase(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, app.FileDB)
	a, stop := streaming(t, dir, nil)
	known := issue(t, a, "known.example")
	stop()
	backup, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}

	a, stop = streaming(t, dir, nil)
	unknown := issue(t, a, "unknown.example")
	revoke(t, a, known)
	revoke(t, a, unknown)
	stop()
	for _, name := range []string{db + "-wal", db + "-shm"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(db, backup, 0o600); err != nil {
		t.Fatal(err)
	}

	for _, want := range []est.Restored{{Revoked: 1, Unknown: 1}, {Unknown: 1}} {
		a, stop = streaming(t, dir, nil)
		if got := a.Restored(); got != want {
			t.Errorf("restored %+v, want %+v", got, want)
		}
		for name, c := range map[string]est.Issued{"known": known, "unknown": unknown} {
			if err := a.CA().Live(t.Context(), c.Hash, time.Now()); !errors.Is(err, est.ErrRevoked) {
				t.Errorf("%s: Live = %v, want ErrRevoked", name, err)
			}
		}
		stop()
	}
}
