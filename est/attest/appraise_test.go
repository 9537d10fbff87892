package attest_test

import (
	"strings"
	"testing"

	"steward/est/attest"
)

func TestAppraise(t *testing.T) {
	tests := map[string]struct {
		evidence func(*attest.Evidence)
		expect   func(*attest.Expectation)
		want     attest.Tier
		reason   string
	}{
		"as expected": {want: attest.TierAffirming, reason: "as expected"},
		"T14 altered firmware": {
			evidence: func(e *attest.Evidence) { e.Components[0].Digest = digestOf("altered") },
			want:     attest.TierContraindicated, reason: "no release in force",
		},
		"same value, other algorithm": {
			evidence: func(e *attest.Evidence) { e.Components[0].Digest.Algorithm = -43 },
			want:     attest.TierContraindicated, reason: "no release in force",
		},
		"component that nobody knows": {
			evidence: func(e *attest.Evidence) {
				e.Components = append(e.Components, attest.Component{ID: []byte{1}, Digest: digestOf("implant")})
			},
			want: attest.TierContraindicated, reason: "component 01",
		},
		"component left out": {
			expect: func(x *attest.Expectation) { x.Components = append(x.Components, []byte{1}) },
			want:   attest.TierContraindicated, reason: "component 01 is not measured",
		},
		"reference of another component": {
			expect: func(x *attest.Expectation) { x.References[0].Component = []byte{1} },
			want:   attest.TierContraindicated, reason: "no release in force",
		},
		"reference of the component": {
			expect: func(x *attest.Expectation) { x.References[0].Component = component },
			want:   attest.TierAffirming,
		},
		"no reference values": {
			expect: func(x *attest.Expectation) { x.References = nil },
			want:   attest.TierContraindicated, reason: "no reference values",
		},
		"T4 another device": {
			evidence: func(e *attest.Evidence) { e.Device[0]++ },
			want:     attest.TierContraindicated, reason: "another device",
		},
		"key that is not of the receipt": {
			evidence: func(e *attest.Evidence) { e.Key = &newKey(t).PublicKey },
			want:     attest.TierContraindicated, reason: "key is not that of the receipt",
		},
		"T7 evidence of an earlier transfer": {
			evidence: func(e *attest.Evidence) { e.Message[0]++ },
			want:     attest.TierContraindicated, reason: "another transfer message",
		},
		"T15 extra anchor": {
			evidence: func(e *attest.Evidence) { e.Truststore[0]++ },
			want:     attest.TierContraindicated, reason: "truststore differs",
		},
		"restored memory": {
			evidence: func(e *attest.Evidence) { e.BootCount-- },
			want:     attest.TierContraindicated, reason: "boot count fell from 7 to 6",
		},
		"debugger": {
			evidence: func(e *attest.Evidence) { e.Debug = attest.DebugEnabled },
			want:     attest.TierContraindicated, reason: "debug",
		},
		"debugger, tolerated": {
			evidence: func(e *attest.Evidence) { e.Debug = attest.DebugEnabled },
			expect:   func(x *attest.Expectation) { x.AllowDebug = true },
			want:     attest.TierWarning, reason: "debug",
		},
		"boots anything": {
			evidence: func(e *attest.Evidence) { e.OEMBoot = false },
			want:     attest.TierContraindicated, reason: "boots images of anybody",
		},
		"boots anything, tolerated": {
			evidence: func(e *attest.Evidence) { e.OEMBoot = false },
			expect:   func(x *attest.Expectation) { x.AllowAnyBoot = true },
			want:     attest.TierWarning, reason: "boots images of anybody",
		},
		"of no transfer": {
			evidence: func(e *attest.Evidence) { e.Message = attest.Hash{}; e.Truststore = attest.Hash{} },
			expect: func(x *attest.Expectation) {
				x.Message, x.Truststore, x.Key = attest.Hash{}, attest.Hash{}, attest.Hash{}
			},
			want: attest.TierAffirming,
		},
	}
	for name, test := range tests {
		e := honest(t)
		x := expected(t, &e)
		if test.evidence != nil {
			test.evidence(&e)
		}
		if test.expect != nil {
			test.expect(&x)
		}
		a := attest.Appraise(&e, x)
		if a.Tier() != test.want || !strings.Contains(a.Reason(), test.reason) {
			t.Errorf("%s: %v, %s", name, a.Tier(), a.Reason())
		}
	}
}

// TestTiers compares with the ranges of draft-ietf-rats-ar4si §2.3.2.
func TestTiers(t *testing.T) {
	for claim, want := range map[attest.Claim]attest.Tier{
		-128: attest.TierContraindicated, -96: attest.TierContraindicated, -95: attest.TierWarning,
		-32: attest.TierWarning, -31: attest.TierAffirming, -2: attest.TierAffirming, -1: attest.TierNone,
		0: attest.TierNone, 1: attest.TierNone, 2: attest.TierAffirming, 31: attest.TierAffirming,
		32: attest.TierWarning, 95: attest.TierWarning, 96: attest.TierContraindicated, 127: attest.TierContraindicated,
	} {
		if got := claim.Tier(); got != want {
			t.Errorf("%d is %v, want %v", claim, got, want)
		}
	}
	if attest.Tier(9).String() != "unknown" || attest.TierWarning.String() != "warning" {
		t.Error("names of tiers")
	}
}

// TestReasonIsBounded makes more reasons than a verdict holds.
func TestReasonIsBounded(t *testing.T) {
	a := attest.Appraisal{Reasons: []string{strings.Repeat("ä", 200)}}
	if r := a.Reason(); len(r) > 255 || !strings.HasPrefix(r, "ä") || strings.ContainsRune(r, '\uFFFD') {
		t.Errorf("%d bytes: %q", len(r), r)
	}
}
