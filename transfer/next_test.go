package transfer_test

import (
	"strings"
	"testing"

	"steward/transfer"
)

// TestNext: of each state of each table people at both providers are told what comes.
func TestNext(t *testing.T) {
	told := func(what, text string) {
		if len(text) < 20 || !strings.HasSuffix(text, ".") {
			t.Errorf("%s: %q is no sentence", what, text)
		}
	}
	for _, incoming := range []bool{false, true} {
		for _, r := range transfer.BatchTable() {
			told(string(r.From), r.From.Next(incoming))
			told(string(r.To), r.To.Next(incoming))
		}
	}
	for incoming, table := range map[bool]transfer.RowTable{
		false: transfer.OutgoingTable(), true: transfer.IncomingTable(),
	} {
		for _, r := range table {
			told(string(r.From), r.From.Next(incoming))
			told(string(r.To), r.To.Next(incoming))
		}
	}
	if got := transfer.RowState("x").Next(false); got != "" {
		t.Errorf("an unknown state: %q", got)
	}
}
