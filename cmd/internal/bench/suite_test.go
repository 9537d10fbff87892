package bench_test

import (
	"bytes"
	"testing"

	"steward/cmd/internal/bench"
	"steward/cmd/internal/cli"
)

// TestSuiteCommands: each command of the suite is one that there is.
func TestSuiteCommands(t *testing.T) {
	for _, args := range bench.SuiteCommands() {
		var out, talk bytes.Buffer
		if got := cli.Run(t.Context(), append(args, "--json", "--help"), &out, &talk); got != 0 {
			t.Errorf("%v = %d: %s", args, got, &talk)
		}
	}
}
