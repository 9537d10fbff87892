package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
	"steward/suit/process"
	"steward/suit/process/processtest"
)

// sign signs a manifest made by hand.
func (f *fixture) sign(t *testing.T, m *suit.Manifest, sever ...suit.Element) []byte {
	t.Helper()
	e, err := m.Envelope(suit.SHA256, sever...)
	if err != nil {
		t.Fatalf("Envelope: %v", err)
	}
	signer, err := cose.NewSigner(f.key, 0, nil)
	if err != nil {
		t.Fatalf("NewSigner: %v", err)
	}
	raw, err := author.Sign(e, signer)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	return raw
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	target := processtest.Open(processtest.NewDisk(), f.components, nil)
	anchors := []process.Anchor{{Key: f.key.Public()}}
	tests := map[string]process.Options{
		"nothing":        {},
		"no anchor":      {Target: target},
		"unusable key":   {Target: target, Anchors: []process.Anchor{{Key: "key"}}},
		"standard code":  {Target: target, Anchors: anchors, Custom: []process.Custom{{Code: -1}}},
		"custom without": {Target: target, Anchors: anchors, Custom: []process.Custom{{Code: -300}}},
	}
	for name, o := range tests {
		if _, err := process.New(o); !errors.Is(err, process.ErrOptions) {
			t.Errorf("%s: New = %v, want %v", name, err, process.ErrOptions)
		}
	}
}

func TestResult(t *testing.T) {
	t.Parallel()
	refused := func(reason process.Reason, err error) error {
		return fmt.Errorf("updating: %w", &process.Error{Stage: process.StageInstall, Reason: reason, Err: err})
	}
	tests := []struct {
		err  error
		want int
	}{
		{nil, process.ResultSuccess},
		{refused(process.ReasonOperation, process.ErrNoSpace), process.ResultNoStorage},
		{refused(process.ReasonOperation, process.ErrConnection), process.ResultConnectionLost},
		{refused(process.ReasonCondition, process.ErrMismatch), process.ResultIntegrity},
		{refused(process.ReasonUnauthorised, nil), process.ResultIntegrity},
		{refused(process.ReasonEncoding, nil), process.ResultUnsupportedPackage},
		{refused(process.ReasonUnsupported, suit.ErrNotImplemented), process.ResultUnsupportedPackage},
		{refused(process.ReasonOperation, process.ErrURI), process.ResultInvalidURI},
		{refused(process.ReasonOperation, process.ErrScheme), process.ResultUnsupportedProtocol},
		{refused(process.ReasonRollback, nil), process.ResultFailed},
		{errors.New("other"), process.ResultFailed},
	}
	for _, test := range tests {
		if got := process.Result(test.err); got != test.want {
			t.Errorf("Result(%v) = %d, want %d", test.err, got, test.want)
		}
	}
}

// TestPhases downloads to a component in section payload-fetch, restarts, and
// installs by copying: nothing is fetched twice.
func TestPhases(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	staging := suit.ComponentPath("staging")
	f.components[staging] = process.Component{Capacity: 1 << 20}
	renewed := image(3, 40_000)
	raw := f.sign(t, stagedManifest(t, f, staging, renewed))
	sources := &processtest.Sources{Payloads: map[string][]byte{payloadURI: renewed}}
	disk := processtest.NewDisk()

	_, p := f.start(t, disk, sources)
	k, err := p.Open(t.Context(), raw)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	if err := k.Download(t.Context()); err != nil {
		t.Fatalf("Download: %v", err)
	}
	target, p := f.start(t, disk, sources)
	if in, ok, _ := target.Installed(t.Context()); ok || !bytes.Equal(target.Content(f.component), f.old) {
		t.Fatalf("Download changed the device: %+v", in)
	}
	if k, err = p.Open(t.Context(), raw); err != nil {
		t.Fatalf("Open: %v", err)
	}
	if err := k.Install(t.Context()); err != nil {
		t.Fatalf("Install: %v", err)
	}
	if len(sources.Offsets) != 1 {
		t.Errorf("fetched %d times, want once", len(sources.Offsets))
	}
	if in, _, _ := target.Installed(t.Context()); in.Sequence != 5 || !bytes.Equal(target.Content(f.component), renewed) {
		t.Errorf("installed %d", in.Sequence)
	}
}

// parameters makes the command that sets them.
func parameters(t *testing.T, values map[suit.Key]any) suit.Command {
	t.Helper()
	c := suit.Command{Code: suit.DirectiveOverrideParameters}
	for key, value := range values {
		p, err := suit.NewParameter(key, value)
		if err != nil {
			t.Fatalf("NewParameter: %v", err)
		}
		c.Parameters = append(c.Parameters, p)
	}
	return c
}

// stagedManifest is the template of §7.4.
func stagedManifest(t *testing.T, f *fixture, staging suit.ComponentID, payload []byte) *suit.Manifest {
	t.Helper()
	digest, err := suit.Sum(suit.SHA256, payload)
	if err != nil {
		t.Fatalf("Sum: %v", err)
	}
	all := suit.Command{Code: suit.DirectiveSetComponentIndex, Index: suit.Index{All: true}}
	one := func(n int) suit.Command {
		return suit.Command{Code: suit.DirectiveSetComponentIndex, Index: suit.Index{List: []int{n}}}
	}
	match := suit.Command{Code: suit.ConditionImageMatch}
	return &suit.Manifest{
		Sequence: 5, Components: []suit.ComponentID{f.component, staging},
		Sections: map[suit.Section]suit.Sequence{
			suit.SectionShared: {all, parameters(t, map[suit.Key]any{
				suit.ParameterVendor: f.vendor[:], suit.ParameterClass: f.class[:],
				suit.ParameterImageDigest: digest, suit.ParameterImageSize: uint64(len(payload)),
			}), {Code: suit.ConditionVendor}, {Code: suit.ConditionClass}},
			suit.SectionFetch: {
				one(1), parameters(t, map[suit.Key]any{suit.ParameterURI: payloadURI}), {Code: suit.DirectiveFetch}, match,
			},
			suit.SectionInstall: {
				one(0), parameters(t, map[suit.Key]any{suit.ParameterSourceComponent: uint64(1)}),
				{Code: suit.DirectiveCopy},
				match,
			},
			suit.SectionValidate: {one(0), match},
		},
	}
}

// TestRefusals has what the vectors do not have.
func TestRefusals(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	fw := []suit.ComponentID{f.component}
	install := func(seq ...suit.Command) map[suit.Section]suit.Sequence {
		return map[suit.Section]suit.Sequence{suit.SectionInstall: seq}
	}
	tests := []struct {
		name     string
		manifest *suit.Manifest
		sever    bool
		stage    process.Stage
		reason   process.Reason
		is       error
	}{
		{
			name:     "invoke inside an update",
			manifest: &suit.Manifest{Components: fw, Sections: install(suit.Command{Code: suit.DirectiveInvoke})},
			stage:    process.StageInstall, reason: process.ReasonOperation,
		},
		{
			name: "integrated payload missing",
			manifest: &suit.Manifest{Components: fw, Sections: install(
				parameters(t, map[suit.Key]any{suit.ParameterURI: "#none"}), suit.Command{Code: suit.DirectiveFetch})},
			stage: process.StageInstall, reason: process.ReasonOperation, is: process.ErrURI,
		},
		{
			name: "image larger than the component",
			manifest: &suit.Manifest{Components: fw, Sections: install(parameters(t, map[suit.Key]any{
				suit.ParameterURI: payloadURI, suit.ParameterImageSize: uint64(1 << 40),
			}), suit.Command{Code: suit.DirectiveFetch})},
			stage: process.StageInstall, reason: process.ReasonOperation, is: process.ErrNoSpace,
		},
		{
			name:     "wait is of update management",
			manifest: &suit.Manifest{Components: fw, Sections: install(suit.Command{Code: suit.DirectiveWait})},
			stage:    process.StageInstall, reason: process.ReasonCommand, is: suit.ErrNotImplemented,
		},
		{
			name: "image digest of an algorithm not accepted",
			manifest: &suit.Manifest{Components: fw, Sections: install(parameters(t, map[suit.Key]any{
				suit.ParameterImageDigest: suit.Digest{Algorithm: suit.SHA512, Value: make([]byte, 64)},
			}), suit.Command{Code: suit.ConditionImageMatch})},
			stage: process.StageInstall, reason: process.ReasonAlgorithm,
		},
		{
			name: "too many commands", manifest: &suit.Manifest{Components: manyComponents(f), Sections: install(bomb(t, 4)...)},
			stage: process.StageInstall, reason: process.ReasonOperation,
		},
		{
			name: "install severed", sever: true,
			manifest: &suit.Manifest{Components: fw, Sections: install(suit.Command{Code: suit.ConditionImageMatch})},
			stage:    process.StageInstall, reason: process.ReasonOperation,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			raw := f.severable(t, test.manifest, test.sever)
			target, p := f.start(t, processtest.NewDisk(), &processtest.Sources{})
			err := p.Update(t.Context(), raw)
			e, ok := errors.AsType[*process.Error](err)
			if !ok || e.Stage != test.stage || e.Reason != test.reason || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("Update = %v, want %s: %s (%v)", err, test.stage, test.reason, test.is)
			}
			if _, ok, _ := target.Installed(t.Context()); ok || !bytes.Equal(target.Content(f.component), f.old) {
				t.Errorf("a refused update changed the device")
			}
		})
	}
}

// severable signs m and drops install from the envelope if sever says so.
func (f *fixture) severable(t *testing.T, m *suit.Manifest, sever bool) []byte {
	t.Helper()
	if !sever {
		return f.sign(t, m)
	}
	e, err := suit.Decode(f.sign(t, m, suit.ElementInstall), suit.Limits{})
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	e.Sever(suit.ElementInstall)
	return e.Encode()
}

// manyComponents adds components to the device and returns them.
func manyComponents(f *fixture) []suit.ComponentID {
	var ids []suit.ComponentID
	for i := range suit.MaxComponents {
		id := suit.ComponentPath(fmt.Sprint(i))
		f.components[id] = process.Component{Capacity: 1}
		ids = append(ids, id)
	}
	return ids
}

// bomb nests sequences that select all components again.
func bomb(t *testing.T, depth int) suit.Sequence {
	t.Helper()
	all := suit.Command{Code: suit.DirectiveSetComponentIndex, Index: suit.Index{All: true}}
	if depth == 0 {
		return suit.Sequence{all, parameters(t, map[suit.Key]any{suit.ParameterURI: "#x"})}
	}
	return suit.Sequence{all, {Code: suit.DirectiveRunSequence, Sequences: []suit.Sequence{bomb(t, depth-1)}}}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, p := f.start(t, processtest.NewDisk(), nil)
	stranger := newFixture(t)
	err := p.Update(t.Context(), stranger.envelope(t, 1, f.old, true))
	if want := "authenticate: not authentic"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("Update = %v, want %s…", err, want)
	}
	if err := p.Boot(t.Context()); !errors.Is(err, process.ErrAbsent) {
		t.Errorf("Boot of a new device = %v, want %v", err, process.ErrAbsent)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Update(ctx, f.envelope(t, 1, f.old, true)); !errors.Is(err, context.Canceled) {
		t.Errorf("Update with a context that ended = %v", err)
	}
	err = p.Update(t.Context(), f.envelope(t, 1, f.old, false))
	if process.Result(err) != process.ResultUnsupportedProtocol {
		t.Errorf("Update without a fetcher = %v", err)
	}
}
