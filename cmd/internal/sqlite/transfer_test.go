package sqlite

import (
	"context"
	"slices"
	"testing"

	"steward/lwm2m/audit"
	"steward/transfer/coordinator/coordtest"
)

func TestTransferStore(t *testing.T) {
	coordtest.TestStore(t, func(t *testing.T) coordtest.Backend {
		t.Helper()
		db := open(t)
		return coordtest.Backend{Store: db.Transfers(), Audit: func(ctx context.Context) ([]audit.Row, error) {
			records, err := db.AuditBefore(ctx, "", 0, 1000)
			var out []audit.Row
			for _, r := range slices.Backward(records) {
				out = append(out, r.Row)
			}
			return out, err
		}}
	})
}
