package est_test

import (
	"testing"

	"steward/est"
	"steward/lwm2m/machine/machinetest"
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
		machinetest.Golden(t, file, got, *update)
	}
}
