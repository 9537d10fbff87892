package transfer_test

import (
	"testing"

	"steward/transfer"
)

// TestAsStrictAs: a later mandate demands no less than the first.
func TestAsStrictAs(t *testing.T) {
	yes, no, low, high := true, false, uint64(5), uint64(6)
	for name, test := range map[string]struct {
		first, later transfer.MandateTerms
		want         bool
	}{
		"the same":                       {transfer.MandateTerms{}, transfer.MandateTerms{}, true},
		"attestation stays":              {transfer.MandateTerms{Attestation: &yes}, transfer.MandateTerms{Attestation: &yes}, true},
		"attestation comes":              {transfer.MandateTerms{}, transfer.MandateTerms{Attestation: &yes}, true},
		"attestation goes":               {transfer.MandateTerms{Attestation: &yes}, transfer.MandateTerms{Attestation: &no}, false},
		"attestation is left out":        {transfer.MandateTerms{Attestation: &yes}, transfer.MandateTerms{}, false},
		"a lower sequence":               {transfer.MandateTerms{MaxSequence: &high}, transfer.MandateTerms{MaxSequence: &low}, true},
		"a higher sequence":              {transfer.MandateTerms{MaxSequence: &low}, transfer.MandateTerms{MaxSequence: &high}, false},
		"no limit":                       {transfer.MandateTerms{MaxSequence: &high}, transfer.MandateTerms{}, false},
		"may keep its application":       {transfer.MandateTerms{}, transfer.MandateTerms{KeepApplication: &yes}, false},
		"may keep its application still": {transfer.MandateTerms{KeepApplication: &yes}, transfer.MandateTerms{KeepApplication: &yes}, true},
		"may not keep it any more":       {transfer.MandateTerms{KeepApplication: &yes}, transfer.MandateTerms{}, true},
	} {
		first, later := transfer.Mandate{MandateTerms: test.first}, transfer.Mandate{MandateTerms: test.later}
		if got := later.AsStrictAs(&first); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
