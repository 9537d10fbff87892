package est_test

import (
	"flag"
	"os"
	"testing"

	"steward/est"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestRightTable(t *testing.T) {
	if err := est.RightTable.Check(est.RightClosed); err != nil {
		t.Error(err)
	}
	const golden = "testdata/right.mmd"
	got := est.RightTable.Mermaid(est.RightClosed)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("diagram differs from %s (run with -update):\n%s", golden, got)
	}
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
