package enrol_test

import (
	"flag"
	"slices"
	"testing"

	"steward/est/enrol"
	"steward/lwm2m/machine/machinetest"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestTable(t *testing.T) {
	if err := enrol.Table.Check(enrol.None); err != nil {
		t.Error(err)
	}
	machinetest.Golden(t, "testdata/enrolment.mmd", enrol.Table.Mermaid(enrol.None), *update)
}

// TestEveryStateLeadsBack: whatever happened, a certificate that the device gets
// makes all good, and a device with a certificate is never left without a next
// look.
func TestEveryStateLeadsBack(t *testing.T) {
	var states []enrol.State
	for _, r := range enrol.Table {
		if !slices.Contains(states, r.From) {
			states = append(states, r.From)
		}
	}
	for _, s := range states {
		if row, err := enrol.Table.Step(s, enrol.Issue); err != nil || row.To != enrol.Good {
			t.Errorf("%s on issue = %v, %v, want good", s, row.To, err)
		}
		if row, err := enrol.Table.Step(s, enrol.Succeed); s != enrol.None && (err != nil || row.To != enrol.Renewed) {
			t.Errorf("%s on succeed = %v, %v, want renewed", s, row.To, err)
		}
	}
	for _, r := range enrol.Table {
		rests := slices.Contains(r.Do, enrol.Rest)
		over := r.To == enrol.Expired || r.To == enrol.Revoked || r.To == enrol.Left
		if rests != over {
			t.Errorf("%s on %s leads to %s: rests %v", r.From, r.On, r.To, rests)
		}
		if len(r.Do) == 0 && r.On != enrol.Wait {
			t.Errorf("%s on %s says nothing about the next look", r.From, r.On)
		}
	}
}
