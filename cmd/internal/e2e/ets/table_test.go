package ets_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the table in CONFORMANCE.md")

const document = "../../../../CONFORMANCE.md"

// The lines of the document between which the table stands.
const (
	tableBegins = "<!-- table of cases: go test ./cmd/internal/e2e/ets -update -->\n"
	tableEnds   = "<!-- end of the table -->\n"
)

// table is what the document says: TestETS fails if a case does not pass that
// the table says passes.
func table() string {
	var b strings.Builder
	passed := 0
	for _, c := range cases {
		if c.not == "" {
			passed++
		}
	}
	fmt.Fprintf(&b, "%d of %d pass.\n\n| case | title | result |\n|---|---|---|\n", passed, len(cases))
	for _, c := range cases {
		result := "pass"
		if c.not != "" {
			result = "not built: " + c.not
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.id, c.title, result)
	}
	return b.String()
}

// TestTable holds the document to the cases.
func TestTable(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), tableBegins)
	old, after, ends := strings.Cut(rest, tableEnds)
	if !ok || !ends {
		t.Fatal("CONFORMANCE.md has no place for the table")
	}
	if old == table() {
		return
	}
	if !*update {
		t.Fatal("the table in CONFORMANCE.md differs; run go test ./cmd/internal/e2e/ets -update and read the diff")
	}
	if err := os.WriteFile(document, []byte(before+tableBegins+table()+tableEnds+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestCases counts: the specification has 65 cases with behaviour of the server.
func TestCases(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range cases {
		if seen[c.id] || (c.run == nil) != (c.not != "") {
			t.Errorf("case %s is there twice, or neither built nor not built", c.id)
		}
		seen[c.id] = true
	}
	if len(cases) != 65 {
		t.Errorf("%d cases, want 65", len(cases))
	}
}
