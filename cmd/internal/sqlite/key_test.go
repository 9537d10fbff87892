package sqlite

import (
	"context"
	"slices"
	"testing"

	"steward/est/esttest"
	"steward/lwm2m/audit"
)

func TestKeys(t *testing.T) {
	db := open(t)
	esttest.TestKeyStore(t, db.Keys(), func(ctx context.Context) ([]audit.Row, error) {
		records, err := db.AuditBefore(ctx, "", 0, 1000)
		var out []audit.Row
		for _, r := range slices.Backward(records) {
			r.At = r.At.UTC()
			out = append(out, r.Row)
		}
		return out, err
	})
}
