package sqlite

import (
	"context"
	"slices"
	"testing"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/audit"
)

func TestInventory(t *testing.T) {
	esttest.TestStore(t, func(t *testing.T) esttest.Backend {
		t.Helper()
		db := open(t)
		return esttest.Backend{Store: db.Inventory(), Audit: func(ctx context.Context) ([]audit.Row, error) {
			records, err := db.AuditBefore(ctx, "", 0, 1000)
			var out []audit.Row
			for _, r := range slices.Backward(records) {
				r.At = r.At.UTC()
				out = append(out, r.Row)
			}
			return out, err
		}}
	})
}

// TestRevokedStays asks the database itself, past all Go code.
func TestRevokedStays(t *testing.T) {
	db := open(t)
	clock := esttest.NewClock()
	ca := esttest.NewCA(t, "Alpha", db.Inventory(), clock.Now)
	out, err := ca.IssueServer(t.Context(), "alpha.example", esttest.Key(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.Revoke(t.Context(), out.Hash, est.KeyCompromise, "test"); err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *Tx) error {
		_, err := tx.w.conn.ExecContext(t.Context(), "UPDATE certificate SET status = 'valid'")
		return err
	})
	if err == nil {
		t.Error("a revoked certificate became valid by SQL")
	}
}
