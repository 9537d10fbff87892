package sqlite

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/lwm2m/audit"
)

// older makes the database of a program that knew no migration from the named one on,
// and has fill write to it.
func older(t *testing.T, migration string, fill func(*sql.DB)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "older.db")
	db, err := sql.Open("sqlite", dsn(path, "rwc"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := migrationNames()
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if strings.Contains(name, migration) {
			break
		}
		script, err := migrations.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := apply(t.Context(), db, string(script), i+1); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	fill(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOlderIssuance opens a database in which certificates of a device and of a key had
// indexes of their own, and the audit two rows for a certificate: all is found as before.
func TestOlderIssuance(t *testing.T) {
	hash := func(text string) est.Hash { return sha256.Sum256([]byte(text)) }
	at := time.UnixMicro(1_700_000_000_000_000).UTC()
	r := est.Record{
		Hash: hash("c"), Issuer: hash("i"), Serial: "4a", SPKI: hash("k"), Kind: est.KindOperational, Profile: "p",
		Name: "urn:d", Factory: hash("f"), NotBefore: at, NotAfter: at.AddDate(100, 0, 0), IssuedAt: at, Client: hash("f"),
		CSR: hash("r"), DER: []byte{1}, Version: 1, Status: est.StatusValid,
	}
	right := est.Right{
		Factory: r.Factory, FactoryDER: []byte{2}, Endpoint: r.Name, State: est.RightConsumed, Epoch: 1, SPKI: r.SPKI,
		Issued: r.Hash, ChangedAt: at,
	}
	rows := []audit.Row{
		{Actor: "device:urn:d", Action: "certificate.issue", Subject: hex.EncodeToString(r.Hash[:]), After: "valid", At: at},
		{Actor: "device:urn:d", Action: "right.enrol", Subject: hex.EncodeToString(r.Factory[:]), Before: "open", At: at},
	}
	path := older(t, "0041", func(db *sql.DB) {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		tx := &Tx{ctx: t.Context(), w: &writer{conn: conn, prep: map[string]*sql.Stmt{}}}
		if err := commitChange(tx, est.Change{Right: &right, Insert: []est.Record{r}, Audit: rows}); err != nil {
			t.Fatal(err)
		}
		for _, s := range tx.w.prep {
			_ = s.Close()
		}
	})
	db, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	for _, q := range []est.Query{{Factory: r.Factory}, {SPKI: r.SPKI}, {SPKI: r.SPKI, Name: r.Name}, {Serial: r.Serial}} {
		if got, err := db.Inventory().Certificates(t.Context(), q); err != nil || len(got) != 1 || got[0].Hash != r.Hash {
			t.Errorf("%+v: %d certificates, %v", q, len(got), err)
		}
	}
	for _, q := range []CertificateQuery{{Factory: r.Factory}, {SPKI: r.SPKI}, {Text: "urn:d"}} {
		q.Now, q.Limit = at, 10
		if got, err := db.View().Certificates(t.Context(), q); err != nil || len(got) != 1 {
			t.Errorf("page of %+v: %d certificates, %v", q, len(got), err)
		}
	}
	if n, err := db.VerifyAudit(t.Context()); err != nil || n != 2 {
		t.Errorf("VerifyAudit = %d, %v", n, err)
	}
	told, err := db.View().AuditRows(t.Context(), AuditQuery{Subject: rows[1].Subject, Limit: 10})
	if err != nil || len(told) != 2 || told[0].Action != "right.enrol" || told[1].Action != "certificate.issue" {
		t.Errorf("history of the right: %+v, %v", told, err)
	}
}
