package audit_test

import (
	"errors"
	"testing"
	"time"

	"steward/lwm2m/audit"
)

// chain returns records made from rows as a Store makes them.
func chain(rows ...audit.Row) []audit.Record {
	var out []audit.Record
	var prev [32]byte
	for i, r := range rows {
		rec := audit.Record{Row: r, ID: int64(i + 1), Prev: prev, Hash: audit.Hash(prev, r)}
		out, prev = append(out, rec), rec.Hash
	}
	return out
}

func TestVerify(t *testing.T) {
	at := time.Unix(1, 0)
	rows := []audit.Row{
		{Actor: "a", Action: "x", Subject: "s", At: at},
		{Actor: "b", Action: "y", Reason: "because", Before: "1", After: "2", At: at},
		{Actor: "c", Action: "z", At: at.Add(time.Second)},
	}
	tests := []struct {
		name   string
		change func([]audit.Record) []audit.Record
		err    error
	}{
		{"intact", func(r []audit.Record) []audit.Record { return r }, nil},
		{"row changed", func(r []audit.Record) []audit.Record { r[1].Reason = "other"; return r }, audit.ErrChain},
		{"row removed", func(r []audit.Record) []audit.Record { return append(r[:1], r[2]) }, audit.ErrChain},
		{"rows exchanged", func(r []audit.Record) []audit.Record { r[0], r[1] = r[1], r[0]; return r }, audit.ErrChain},
		{"time changed", func(r []audit.Record) []audit.Record { r[2].At = at; return r }, audit.ErrChain},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := audit.Verify([32]byte{}, tt.change(chain(rows...))); !errors.Is(err, tt.err) {
				t.Errorf("Verify = %v, want %v", err, tt.err)
			}
		})
	}
}

// TestHashBoundaries moves a byte from one field to the next: another row.
func TestHashBoundaries(t *testing.T) {
	a := audit.Hash([32]byte{}, audit.Row{Actor: "ab", Action: "c"})
	b := audit.Hash([32]byte{}, audit.Row{Actor: "a", Action: "bc"})
	if a == b {
		t.Error("two rows, one hash")
	}
}
