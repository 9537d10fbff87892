package process_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"steward/suit"
	"steward/suit/cose"
	"steward/suit/process"
	"steward/suit/process/processtest"
)

// TestReportPolicy has the commands recorded that the manifest asks for.
func TestReportPolicy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	digest, err := suit.Sum(suit.SHA256, []byte("other"))
	if err != nil {
		t.Fatalf("Sum: %v", err)
	}
	raw := f.sign(t, &suit.Manifest{
		ReferenceURI: "https://h/m", Components: []suit.ComponentID{f.component},
		Sections: map[suit.Section]suit.Sequence{suit.SectionInstall: {
			parameters(t, map[suit.Key]any{suit.ParameterContent: []byte("new"), suit.ParameterImageDigest: digest}),
			{Code: suit.DirectiveWrite, Policy: 1},
			{Code: suit.ConditionImageNotMatch, Policy: 5},
			{Code: suit.ConditionImageNotMatch, Policy: 2},
			{Code: suit.ConditionImageMatch, Policy: 10},
		}},
	})
	tests := []struct {
		reporting process.Reporting
		want      []int // offsets of the records; -1 for properties
	}{
		{process.ReportByPolicy, []int{47, 49, -1, 55, -1}},
		{process.ReportEverything, []int{1, 47, 49, -1, 52, -1, 55, -1}},
		{process.ReportNothing, nil},
	}
	for _, test := range tests {
		p, err := process.New(process.Options{
			Anchors: []process.Anchor{{Key: f.key.Public()}}, Reporting: test.reporting,
			Target: processtest.Open(processtest.NewDisk(), f.components, nil),
		})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		k, err := p.Open(t.Context(), raw)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		r := k.Report(k.Install(t.Context()), []byte("nonce"))
		var got []int
		for _, one := range r.Records {
			if one.System != "" {
				one.Offset = -1
			}
			got = append(got, one.Offset)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%v: records at %v, want %v", test.reporting, got, test.want)
		}
		if r.URI != "https://h/m" || !r.Digest.Equal(k.Envelope.Digest) || string(r.Nonce) != "nonce" {
			t.Errorf("report = %+v", r)
		}
		at := r.Failure
		if at == nil || at.Reason != suit.ReportCondition || at.Record.Section != suit.ElementInstall ||
			at.Record.Parameters[0].Digest().Equal(digest) {
			t.Errorf("failure = %+v", at)
		}
	}
}

// TestReportProtected signs a report, with the capabilities of the device, and
// verifies it.
func TestReportProtected(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	_, o := w.options(processtest.NewDisk(), nil)
	o.Management = managed(nil)
	p, err := process.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	raw := w.envelope(t, 1, w.old, true)
	raw[len(raw)/2] ^= 1 // in the integrated payload
	k, err := p.Open(t.Context(), raw)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	r := k.Report(k.Install(t.Context()), nil)
	r.Capabilities = p.Capabilities(w.component)
	for _, code := range []suit.Code{suit.DirectiveSetComponentIndex, suit.DirectiveUnlink, suit.DirectiveWait} {
		if !slices.Contains(r.Capabilities.Commands, code) {
			t.Errorf("capabilities lack %v", code)
		}
	}
	for _, alg := range []cose.Algorithm{cose.ESP256, cose.ECDHESA128KW, cose.A128CTR, cose.Algorithm(suit.SHA256)} {
		if !slices.Contains(r.Capabilities.Algorithms, int64(alg)) {
			t.Errorf("capabilities lack %v", alg)
		}
	}
	signer, err := cose.NewSigner(w.modem.key, 0, []byte("device"))
	if err != nil {
		t.Fatalf("NewSigner: %v", err)
	}
	protected, err := r.Sign(signer)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	verify := func(key *fixture) (*suit.Report, error) {
		v, err := cose.NewVerifier(key.key.Public())
		if err != nil {
			t.Fatalf("NewVerifier: %v", err)
		}
		return suit.VerifyReport(protected, v)
	}
	got, err := verify(w.modem)
	if err != nil || !bytes.Equal(got.Encode(), r.Encode()) {
		t.Errorf("VerifyReport = %+v, %v", got, err)
	}
	if got.Failure == nil || got.Failure.Reason != suit.ReportCondition {
		t.Errorf("failure = %+v", got.Failure)
	}
	if _, err := verify(w.fixture); !errors.Is(err, cose.ErrSignature) {
		t.Errorf("VerifyReport with another key = %v, want %v", err, cose.ErrSignature)
	}
}

// TestReportOfNothing tells of envelopes that cannot be opened.
func TestReportOfNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, p := f.start(t, processtest.NewDisk(), nil)
	for raw, want := range map[string]suit.ReportReason{
		"\xa0": suit.ReportCBOR, string(newFixture(t).envelope(t, 1, f.old, true)): suit.ReportUnauthorised,
	} {
		_, err := p.Open(t.Context(), []byte(raw))
		r := p.Report([]byte(raw), err, nil)
		if again, err := suit.ParseReport(r.Encode()); err != nil || again.Failure.Reason != want {
			t.Errorf("report = %+v, %v, want reason %v", again, err, want)
		}
	}
}

// TestReportOfDependency names the manifest and the command that failed, not those
// above it.
func TestReportOfDependency(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	sources := &processtest.Sources{Payloads: map[string][]byte{}}
	raw := w.update(t, sources, 1, 10)
	sources.Payloads["coap://h/modem/1"] = image(99, 20_000)
	_, p := w.open(t, processtest.NewDisk(), sources)
	k, err := p.Open(t.Context(), raw)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	f := k.Report(k.Install(t.Context()), nil).Failure
	if f == nil || f.Reason != suit.ReportCondition || !slices.Equal(f.Record.Manifest, []int{0}) ||
		f.Record.Section != suit.ElementInstall || len(f.Record.Parameters) != 1 {
		t.Errorf("failure = %+v", f)
	}
}
