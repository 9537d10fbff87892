// Package e2e_test runs the whole program: the command line in scripts, and, with
// STEWARD_E2E=1, the real binary as several processes under foreign clients, a
// browser and kill -9.
package e2e_test

import (
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"steward/cmd/internal/cli"
)

// update rewrites the golden texts inside the scripts.
var update = flag.Bool("update", false, "rewrite golden texts in testdata")

// TestMain makes the test binary the program "steward" of scripts, so that they
// need no build.
func TestMain(m *testing.M) {
	if os.Getenv("STEWARD_E2E") != "" {
		_ = flag.Set("test.parallel", "6") // the processes wait for timers most of the time
	}
	testscript.Main(m, map[string]func(){"steward": func() { os.Exit(cli.Main()) }})
}

// slow skips t unless the slow tests of the real binary are asked for.
func slow(t *testing.T) {
	t.Helper()
	if os.Getenv("STEWARD_E2E") == "" {
		t.Skip("needs STEWARD_E2E=1 and bin/steward: make e2e")
	}
}
