package services_test

import (
	"strings"
	"testing"

	"steward/cmd/internal/services"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// TestRevisedInWords: both sides are told what a revision means for them.
func TestRevisedInWords(t *testing.T) {
	posting := []transfer.BatchEffect{transfer.BatchPostInfo}
	for _, test := range []struct {
		name string
		t    coordinator.Transfer
		want string // "": nothing is said
	}{
		{"not revised", coordinator.Transfer{State: transfer.BatchStaging}, ""},
		{"over", coordinator.Transfer{Revised: true, State: transfer.BatchComplete}, ""},
		{"no answer", coordinator.Transfer{State: transfer.BatchStaging, Pending: posting}, "not answered"},
		{"accepted", coordinator.Transfer{State: transfer.BatchStaging}, "accepts it"},
		{"void", coordinator.Transfer{State: transfer.BatchInfoAccepted}, "its administrator approves anew"},
		{"void here", coordinator.Transfer{State: transfer.BatchInfoAccepted, Incoming: true}, "an administrator here"},
		{"accepted here", coordinator.Transfer{State: transfer.BatchOffered, Incoming: true}, "accepted by itself"},
	} {
		test.t.PartnerName, test.t.Revised = "Beta", test.name != "not revised"
		var said strings.Builder
		for _, n := range services.Revised(test.t) {
			said.WriteString(n.Text)
		}
		if (test.want == "") != (said.String() == "") || !strings.Contains(said.String(), test.want) {
			t.Errorf("%s: %q, want %q", test.name, said.String(), test.want)
		}
	}
}
