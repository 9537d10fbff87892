package audit_test

import (
	"testing"

	"steward/lwm2m/audit"
)

func TestSamePerson(t *testing.T) {
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"operator:alice", "operator:alice/ci", true},
		{"operator:alice/a", "operator:alice/b", true},
		{"operator:alice", "operator:bob", false},
		{"operator:alice", "operator:alice.token", false},
		// Each of them can make the other.
		{"operator:admin.token", "operator:second.token", true},
		{"operator:bob", "operator:admin.token", false},
	} {
		if got := audit.SamePerson(row.a, row.b); got != row.same {
			t.Errorf("SamePerson(%s, %s) = %v", row.a, row.b, got)
		}
	}
}
