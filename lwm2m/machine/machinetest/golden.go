// Package machinetest keeps what tests draw of state tables as golden files.
package machinetest

import (
	"os"
	"testing"
)

// Golden compares a text, such as a diagram, with the one in the file, or writes it
// there if update is set: a test's flag -update.
func Golden(tb testing.TB, file, got string, update bool) {
	tb.Helper()
	if update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	if got != string(want) {
		tb.Errorf("%s differs; run with -update, and read the difference:\n%s", file, got)
	}
}
