package sqlite

import (
	"errors"
	"testing"
	"time"

	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
)

// TestErase deletes one of two devices, and looks at every table that names devices.
func TestErase(t *testing.T) {
	db := withDevices(t, "a", "b")
	s, now := db.Devices(), time.Now()
	temperature := lwm2m.NewPath(3303, 0, 5700)
	var reports []server.Report
	for _, id := range []fleet.ID{"a", "b"} {
		for i := range 3 * pruneBatch / 2 { // more than a batch, over two days
			at := now.Add(-time.Duration(i) * 30 * time.Second)
			reports = append(reports, report(id, temperature, lwm2m.Integer(int64(i)), at))
		}
	}
	if err := db.Server().Record(t.Context(), reports); err != nil {
		t.Fatal(err)
	}
	if err := s.Erase(t.Context(), "a", "test", "x"); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("one that is ours: %v, want ErrConflict", err)
	}
	d, err := s.Device(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	d.Ownership, d.Factory = fleet.Left, fleet.Factory{7}
	if err := s.Put(t.Context(), d, "test", "gone"); err != nil {
		t.Fatal(err)
	}
	const factory = "x'0700000000000000000000000000000000000000000000000000000000000000'"
	exec(t, db, "INSERT INTO attester (device, key, refs, boot_count, at) VALUES ("+factory+", x'00', '[]', 0, 0)")
	held := est.Record{
		Hash: est.Hash{9}, Serial: "4a", Kind: est.KindOperational, Name: string(d.Endpoint), DER: []byte{0}, Version: 1,
		Status: est.StatusValid,
	}
	if err := db.Inventory().Commit(t.Context(), est.Change{Insert: []est.Record{held}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Erase(t.Context(), "a", "test", "x"); !errors.Is(err, ErrHeld) || of(t, db, "sample", "'a'") == 0 {
		t.Errorf("with a certificate: %v, want ErrHeld, and its values as they were", err)
	}
	held.Status = est.StatusRevoked
	if err := db.Inventory().Commit(t.Context(), est.Change{Update: []est.Record{held}}); err != nil {
		t.Fatal(err)
	}
	var told []fleet.ID
	db.WatchDevices(func(id fleet.ID) { told = append(told, id) })
	if err := s.Erase(t.Context(), "a", "test", "scrapped"); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"sample", "value"} {
		if a, b := of(t, db, table, "'a'"), of(t, db, table, "'b'"); a != 0 || b == 0 {
			t.Errorf("%s has %d and %d rows, want none of a and those of b", table, a, b)
		}
	}
	if n := of(t, db, "attester", factory); n != 0 {
		t.Error("the key of its evidence is still there")
	}
	if _, err := s.Device(t.Context(), "a"); !errors.Is(err, fleet.ErrUnknown) || len(told) != 1 {
		t.Errorf("ByID = %v, told of %v; want ErrUnknown, once", err, told)
	}
	if err := s.Erase(t.Context(), "a", "test", "x"); !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("again: %v, want ErrUnknown", err)
	}
	rows, err := db.AuditBefore(t.Context(), "a", 0, 1)
	if err != nil || len(rows) != 1 || rows[0].Action != "device.erase" || rows[0].Reason != "scrapped" {
		t.Errorf("audit %+v, %v", rows, err)
	}
	if _, err := db.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestEraseKeepsNothing finds tables that name devices and that deleting one does not
// reach: each needs a statement in erase, or a reason here.
func TestEraseKeepsNothing(t *testing.T) {
	db := open(t)
	why := map[string]string{
		"certificate": "the CA", "enrolment_right": "the CA", "approval": "the CA", "upstream_errand": "the CA",
		"key_origin": "the CA", "factory_succession": "the CA", "sealed_key": "the CA", "restored_right": "the CA",
		"transfer_row": "evidence", "transfer_receipt": "evidence",
		"sample": "erased", "attester": "erased", "attestation": "erased", "bulk_device": "erased",
	}
	rows, err := db.read.QueryContext(t.Context(), `
		SELECT m.name, EXISTS (SELECT 1 FROM pragma_foreign_key_list(m.name) f
		                        WHERE f."table" = 'device' AND f.on_delete = 'CASCADE')
		  FROM sqlite_master m
		 WHERE m.type = 'table' AND m.name <> 'device'
		   AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) c WHERE c.name IN ('device', 'factory'))`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var cascades bool
		if err := rows.Scan(&name, &cascades); err != nil {
			t.Fatal(err)
		}
		if !cascades && why[name] == "" {
			t.Errorf("%s names devices, and Erase does not reach it", name)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// exec runs a statement behind the program's back.
func exec(t *testing.T, db *DB, statement string) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *Tx) error {
		_, err := tx.w.conn.ExecContext(t.Context(), statement)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// of counts the rows of a device in a table.
func of(t *testing.T, db *DB, table, device string) (n int) {
	t.Helper()
	err := db.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table+" WHERE device = "+device).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
