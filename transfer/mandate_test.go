package transfer_test

import (
	"testing"

	"steward/transfer"
)

// TestAsStrictAs: a later mandate demands no less than the first.
func TestAsStrictAs(t *testing.T) {
	type terms = transfer.MandateTerms
	yes, no, low, high := true, false, uint64(5), uint64(6)
	for name, test := range map[string]struct {
		first, later terms
		want         bool
	}{
		"the same":                       {terms{}, terms{}, true},
		"attestation stays":              {terms{Attestation: &yes}, terms{Attestation: &yes}, true},
		"attestation comes":              {terms{}, terms{Attestation: &yes}, true},
		"attestation goes":               {terms{Attestation: &yes}, terms{Attestation: &no}, false},
		"attestation is left out":        {terms{Attestation: &yes}, terms{}, false},
		"a lower sequence":               {terms{MaxSequence: &high}, terms{MaxSequence: &low}, true},
		"a higher sequence":              {terms{MaxSequence: &low}, terms{MaxSequence: &high}, false},
		"no limit":                       {terms{MaxSequence: &high}, terms{}, false},
		"may keep its application":       {terms{}, terms{KeepApplication: &yes}, false},
		"may keep its application still": {terms{KeepApplication: &yes}, terms{KeepApplication: &yes}, true},
		"may not keep it any more":       {terms{KeepApplication: &yes}, terms{}, true},
	} {
		first, later := transfer.Mandate{MandateTerms: test.first}, transfer.Mandate{MandateTerms: test.later}
		if got := later.AsStrictAs(&first); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
