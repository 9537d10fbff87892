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

// The lines of the document between which a table stands.
const (
	tableBegins = "<!-- table of %s: go test ./cmd/internal/e2e/ets -update -->\n"
	tableEnds   = "<!-- end of the table -->\n"
)

// tables are what the document says, by name: TestETS, TestBehaviour and TestLeshan
// fail if something does not pass that a table says passes.
var tables = map[string]func() string{
	"cases":      casesTable,
	"behaviours": func() string { return behaviourTable(behaviours, true) },
	"leshan":     func() string { return behaviourTable(leshan, false) },
}

// behaviourTable is the table of a list, by what its rows are about if items is set.
func behaviourTable(list []behaviour, items bool) string {
	var b strings.Builder
	passed := 0
	for _, x := range list {
		if x.not == "" {
			passed++
		}
	}
	fmt.Fprintf(&b, "%d of %d pass.\n\n", passed, len(list))
	if items {
		b.WriteString("| about | behaviour | result |\n|---|---|---|\n")
	} else {
		b.WriteString("| test | result |\n|---|---|\n")
	}
	for _, x := range list {
		result := "pass"
		if x.test != "" {
			result = "pass: `" + x.test + "`"
		}
		if x.not != "" {
			result = "not built: " + x.not
		}
		if items {
			fmt.Fprintf(&b, "| %s ", x.item)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", x.title, result)
	}
	return b.String()
}

// casesTable is the table of the specification's cases.
func casesTable() string {
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

// TestTable holds the document to the tables.
func TestTable(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for name, table := range tables {
		begins := fmt.Sprintf(tableBegins, name)
		before, rest, ok := strings.Cut(text, begins)
		old, after, ends := strings.Cut(rest, tableEnds)
		if !ok || !ends {
			t.Fatalf("CONFORMANCE.md has no place for the table of %s", name)
		}
		if old == table() {
			continue
		}
		if !*update {
			t.Fatalf("the table of %s in CONFORMANCE.md differs; run this package with -update and read the diff", name)
		}
		text = before + begins + table() + tableEnds + after
	}
	if text == string(b) {
		return
	}
	if err := os.WriteFile(document, []byte(text), 0o644); err != nil {
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
