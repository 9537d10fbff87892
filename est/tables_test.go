package est_test

import (
	"os"
	"testing"

	"steward/est"
)

// TestTables checks the tables of passwords and errands, and compares them with
// their golden diagrams.
func TestTables(t *testing.T) {
	if err := est.PasswordTable.Check(est.PasswordOpen, est.PasswordUsed, est.PasswordWithdrawn); err != nil {
		t.Error(err)
	}
	if err := est.ErrandTable.Check(est.ErrandWaiting, est.ErrandIssued, est.ErrandWithdrawn); err != nil {
		t.Error(err)
	}
	for file, got := range map[string]string{
		"testdata/password.mmd": est.PasswordTable.Mermaid(est.PasswordOpen),
		"testdata/errand.mmd":   est.ErrandTable.Mermaid(est.ErrandWaiting),
	} {
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("diagram differs from %s (run with -update):\n%s", file, got)
		}
	}
}
