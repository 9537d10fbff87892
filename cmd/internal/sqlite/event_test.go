package sqlite_test

import (
	"path/filepath"
	"testing"

	"steward/cmd/internal/sqlite"
	"steward/web"
	"steward/web/webtest"
)

func TestEvents(t *testing.T) {
	webtest.TestEventLog(t, func(t *testing.T) web.EventLog {
		t.Helper()
		db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "steward.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db.Events()
	})
}
