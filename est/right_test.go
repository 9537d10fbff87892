package est_test

import (
	"flag"
	"testing"

	"steward/est"
	"steward/lwm2m/machine/machinetest"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestRightTable(t *testing.T) {
	if err := est.RightTable.Check(est.RightClosed); err != nil {
		t.Error(err)
	}
	machinetest.Golden(t, "testdata/right.mmd", est.RightTable.Mermaid(est.RightClosed), *update)
}

// TestOnlyOpenAndConsumedEnrol is the heart of the table: no other state may
// lead to a certificate.
func TestOnlyOpenAndConsumedEnrol(t *testing.T) {
	for _, r := range est.RightTable {
		for _, do := range r.Do {
			if do == est.EffectIssue && r.From != est.RightOpen && r.From != est.RightConsumed {
				t.Errorf("%s on %s issues", r.From, r.On)
			}
		}
		if r.From == est.RightDeleted && r.To == est.RightOpen || r.From == est.RightSuspended && r.On == est.EventOpen {
			t.Errorf("%s on %s opens", r.From, r.On)
		}
	}
}
