package audit_test

import (
	"fmt"
	"testing"

	"steward/lwm2m/audit"
)

// TestCheckerBegin looks at a chain whose first rows stand elsewhere.
func TestCheckerBegin(t *testing.T) {
	all := ten()
	for _, row := range []struct {
		name string
		from int // rows that are looked at, of those after the fifth
		hash [32]byte
		want string
	}{
		{"the rest", 5, all[4].Hash, "[]"},
		{"of another chain", 5, all[3].Hash, "[{6 unlinked it does not follow from row 5}]"},
		{"a row too few", 6, all[4].Hash, "[{7 missing the first row has the number 7: what was archived goes before it}]"},
		{"a row too many", 4, all[4].Hash, "[{5 reordered it stands after row 5}]"},
	} {
		var c audit.Checker
		c.Begin(5, row.hash)
		for _, r := range all[row.from:] {
			c.Add(r)
		}
		r := c.Report()
		if got := fmt.Sprint(r.Faults); got != row.want || r.Before != 5 {
			t.Errorf("%s: faults %s after row %d, want %s after row 5", row.name, got, r.Before, row.want)
		}
	}
}
