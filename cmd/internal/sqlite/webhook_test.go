package sqlite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"steward/cmd/internal/keys"
	"steward/cmd/internal/sqlite"
	"steward/lwm2m/audit"
	"steward/web/hook"
	"steward/web/hook/hooktest"
)

func TestWebhooks(t *testing.T) {
	open := func(t *testing.T, path string) (*sqlite.DB, sqlite.Webhooks) {
		t.Helper()
		db, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		seal, err := keys.NewSealer(bytes.Repeat([]byte{7}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return db, db.Webhooks(seal)
	}
	hooktest.TestStore(t, func(t *testing.T) hook.Store {
		t.Helper()
		_, s := open(t, filepath.Join(t.TempDir(), "steward.db"))
		return s
	})
	path := filepath.Join(t.TempDir(), "steward.db")
	db, s := open(t, path)
	h := hooktest.Hook("one", "a")
	h.Secret = []byte("thirty-two bytes that nobody sees")
	if err := s.Put(t.Context(), h, audit.Row{}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, h.Secret) {
		t.Error("the secret stands in the database in the clear")
	}
}
