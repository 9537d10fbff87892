package rounds_test

import (
	"flag"
	"testing"

	"steward/est/attest/rounds"
	"steward/lwm2m/machine/machinetest"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestTable(t *testing.T) {
	if err := rounds.Table.Check(rounds.Unproved); err != nil {
		t.Error(err)
	}
	machinetest.Golden(t, "testdata/rounds.mmd", rounds.Table.Mermaid(rounds.Unproved), *update)
}
