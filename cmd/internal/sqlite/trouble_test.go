package sqlite

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"steward/lwm2m/audit"
)

// pages bounds the size of the database, as a disk does.
func pages(t *testing.T, db *DB, n int) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *Tx) error {
		var set int
		return tx.w.conn.QueryRowContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count = %d", n)).Scan(&set)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDiskFull fills the database: writes fail by the name of the trouble, reads go on,
// nothing half is left, and it works again without a restart once there is space.
func TestDiskFull(t *testing.T) {
	db := open(t)
	pages(t, db, 1) // below what is there: SQLite takes the present size
	var full error
	n := 0
	for ; full == nil && n < 10_000; n++ {
		full = db.Update(t.Context(), func(tx *Tx) error {
			if _, err := tx.Exec("setting.put", fmt.Sprint("row", n), make([]byte, 3000)); err != nil {
				return err
			}
			return tx.Audit(audit.Row{Actor: "test", Action: "test", Subject: fmt.Sprint(n)})
		})
	}
	if !errors.Is(full, audit.ErrStorage) || !errors.Is(db.Storage(), audit.ErrStorage) {
		t.Fatalf("after %d writes: %v; Storage = %v", n, full, db.Storage())
	}
	if err := db.Probe(t.Context()); !errors.Is(err, audit.ErrStorage) {
		t.Errorf("Probe = %v", err)
	}
	var v []byte
	if err := db.QueryRow(t.Context(), "setting.get", fmt.Sprint("row", n-1)).Scan(&v); err == nil {
		t.Error("a write that failed is there")
	}
	rows, err := db.VerifyAudit(t.Context())
	if err != nil || rows != int64(n-1) {
		t.Errorf("audit chain: %d rows, %v; want %d", rows, err, n-1)
	}
	pages(t, db, 100_000)
	if err := db.Probe(t.Context()); err != nil || db.Storage() != nil {
		t.Errorf("with space: %v, Storage = %v", err, db.Storage())
	}
	if err := db.Audit(t.Context(), audit.Row{Actor: "test", Action: "test"}); err != nil {
		t.Errorf("with space: %v", err)
	}
	if rows, err := db.VerifyAudit(t.Context()); err != nil || rows != int64(n) {
		t.Errorf("audit chain after: %d rows, %v", rows, err)
	}
}
