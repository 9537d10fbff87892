package sqlite

import (
	"errors"
	"fmt"
	"testing"

	"steward/lwm2m/audit"
)

// TestVerifyWhileArchived looks at the chain while its first rows go, as at a start: that
// is no alarm.
func TestVerifyWhileArchived(t *testing.T) {
	db := open(t)
	const rows, kept = 20 * pruneBatch, 10
	err := db.Update(t.Context(), func(tx *Tx) error {
		for range rows {
			if err := tx.Audit(audit.Row{Actor: "a", Action: "x"}); err != nil {
				return err
			}
		}
		name := fmt.Sprintf("audit-%012d-%012d.ndjson", 1, rows-kept)
		return tx.Audit(audit.Row{Actor: "system", Action: "audit.archive", Subject: name})
	})
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- db.DropAudit(t.Context(), rows-kept-1) }()
	for done := false; !done; {
		select {
		case err = <-gone:
			done = true
		default:
		}
		if n, wrong := db.VerifyAudit(t.Context()); err != nil || wrong != nil {
			t.Fatalf("VerifyAudit = %d, %v; DropAudit = %v", n, wrong, err)
		}
	}
}

// TestUnvouchedBase has bases of which no row tells, or one that tells of others.
func TestUnvouchedBase(t *testing.T) {
	for _, row := range []struct{ name, file, head string }{
		{"no file", "x", ""},
		{"rows before", "audit-000000000001-000000000003.ndjson", ""},
		{"rows after", "audit-000000000005-000000000009.ndjson", ""},
		{"another last row", "audit-000000000001-000000000004.ndjson", "00"},
	} {
		db := open(t)
		err := db.Update(t.Context(), func(tx *Tx) error {
			for range 9 {
				if err := tx.Audit(audit.Row{Actor: "a", Action: "x"}); err != nil {
					return err
				}
			}
			return tx.Audit(audit.Row{Actor: "a", Action: "audit.archive", Subject: row.file, After: row.head})
		})
		if err := errors.Join(err, db.DropAudit(t.Context(), 4)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.VerifyAudit(t.Context()); !errors.Is(err, audit.ErrChain) {
			t.Errorf("%s: %v, want ErrChain", row.name, err)
		}
	}
}
