package sqlite_test

import (
	"path/filepath"
	"testing"

	"steward/cmd/internal/sqlite"
	"steward/web/account"
	"steward/web/account/accounttest"
)

func TestAccounts(t *testing.T) {
	accounttest.TestStore(t, func(t *testing.T) account.Stores {
		t.Helper()
		db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "steward.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db.Accounts()
	})
}
