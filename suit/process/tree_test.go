package process_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
	"steward/suit/process"
	"steward/suit/process/processtest"
)

// A tree is a device with a modem of another vendor: its firmware has a manifest
// of its own, on which the device's depends.
type tree struct {
	*fixture

	modem  *fixture // who signs for the modem
	device *cose.RecipientKey
	to     *cose.RecipientKey
	group  *cose.RecipientKey
}

func newTree(t *testing.T) *tree {
	t.Helper()
	w := &tree{fixture: newFixture(t), modem: newFixture(t)}
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("GenerateKey: %v", err)
	}
	if w.device, err = cose.NewPrivateKey(key, []byte("device")); err != nil {
		t.Fatalf("NewPrivateKey: %v", err)
	}
	if w.to, err = cose.NewPublicKey(key.PublicKey(), []byte("device")); err != nil {
		t.Fatalf("NewPublicKey: %v", err)
	}
	if w.group, err = cose.NewSharedKey(bytes.Repeat([]byte{7}, 16), nil); err != nil {
		t.Fatalf("NewSharedKey: %v", err)
	}
	for _, name := range []string{"modem", "dep/modem.suit", "staging", "cfg"} {
		w.components[suit.ComponentPath(name)] = process.Component{Capacity: 1 << 20}
	}
	return w
}

// options trust both signers, each for components of its own.
func (w *tree) options(disk *processtest.Disk, fetch process.Fetcher) (*processtest.Target, process.Options) {
	target := processtest.Open(disk, w.components, map[suit.ComponentID][]byte{
		w.component: w.old, suit.ComponentPath("modem"): []byte("old modem"),
	})
	return target, process.Options{
		Anchors: []process.Anchor{
			{Key: w.key.Public()},
			{Key: w.modem.key.Public(), Components: []suit.ComponentID{suit.ComponentPath("modem")}},
		},
		Identity:     process.Identity{Vendors: [][]byte{w.vendor[:]}, Classes: [][]byte{w.class[:]}},
		Target:       target,
		Fetch:        fetch,
		TrustDomains: true,
		Keys:         []*cose.RecipientKey{w.device, w.group},
	}
}

func (w *tree) open(t *testing.T, disk *processtest.Disk, fetch process.Fetcher) (
	*processtest.Target, *process.Processor,
) {
	t.Helper()
	target, o := w.options(disk, fetch)
	p, err := process.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return target, p
}

// plan makes the envelope of a plan and adds its payloads to sources.
func (f *fixture) plan(t *testing.T, s *processtest.Sources, p author.Plan) []byte {
	t.Helper()
	p.Vendor, p.Class = f.vendor, f.class
	b, err := p.Build()
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	signer, err := cose.NewSigner(f.key, 0, nil)
	if err != nil {
		t.Fatalf("NewSigner: %v", err)
	}
	raw, err := author.Sign(b.Envelope, signer)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	maps.Copy(s.Payloads, b.Payloads)
	return raw
}

// update is a plan of three kinds: the modem's manifest as a dependency, the
// firmware encrypted to the device, settings encrypted to its group without
// authentication.
func (w *tree) update(t *testing.T, s *processtest.Sources, sequence uint64, seed byte) []byte {
	t.Helper()
	modem := w.modem.plan(t, s, author.Plan{Sequence: sequence, Images: []author.Image{{
		Component: suit.ComponentPath("modem"),
		Slots:     []author.Slot{{Payload: image(seed+2, 20_000), URI: fmt.Sprintf("coap://h/modem/%d", sequence)}},
	}}})
	return w.plan(t, s, author.Plan{
		Sequence: sequence, ID: suit.ComponentPath("root.suit"),
		Dependencies: []author.Dependency{{Component: suit.ComponentPath("dep/modem.suit"), Envelope: modem}},
		Images: []author.Image{
			{
				Component: w.component, Boot: true, Staging: suit.ComponentPath("staging"),
				Encryption: &cose.Encryption{Recipients: []*cose.RecipientKey{w.to}},
				Slots:      []author.Slot{{Payload: image(seed, 50_000), URI: fmt.Sprintf("coap://h/fw/%d", sequence)}},
			},
			{
				Component:  suit.ComponentPath("cfg"),
				Encryption: &cose.Encryption{Algorithm: cose.A128CTR, Recipients: []*cose.RecipientKey{w.group}},
				Slots:      []author.Slot{{Payload: image(seed+1, 100), Inline: true}},
			},
		},
	})
}

// holds reports whether the device has all that update brings.
func (w *tree) holds(target *processtest.Target, seed byte) bool {
	return bytes.Equal(target.Content(w.component), image(seed, 50_000)) &&
		bytes.Equal(target.Content(suit.ComponentPath("cfg")), image(seed+1, 100)) &&
		bytes.Equal(target.Content(suit.ComponentPath("modem")), image(seed+2, 20_000))
}

// TestPowerCutTree cuts the power at every write of an update with a dependency and
// with encrypted images: all components are old, or all are new.
func TestPowerCutTree(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	sources := &processtest.Sources{Payloads: map[string][]byte{}}
	first, second := w.update(t, sources, 1, 10), w.update(t, sources, 2, 20)
	for cut := 0; ; cut++ {
		disk := processtest.NewDisk()
		_, p := w.open(t, disk, sources)
		if err := p.Update(t.Context(), first); err != nil {
			t.Fatalf("first update: %v", err)
		}
		disk.Cut = cut
		err := p.Update(t.Context(), second)
		if err != nil && !errors.Is(err, processtest.ErrPower) {
			t.Fatalf("cut %d: Update = %v", cut, err)
		}
		disk.PowerOn()
		target, p := w.open(t, disk, sources)
		if bootErr := p.Boot(t.Context()); bootErr != nil || len(target.Invoked) != 1 {
			t.Errorf("cut %d: Boot = %v, invoked %v", cut, bootErr, target.Invoked)
		}
		in, _, _ := target.Installed(t.Context())
		if (err == nil) != (in.Sequence == 2) || !w.holds(target, byte(in.Sequence*10)) {
			t.Errorf("cut %d: sequence %d with other images", cut, in.Sequence)
		}
		if err := p.Update(t.Context(), second); err != nil || !w.holds(target, 20) {
			t.Errorf("cut %d: Update again = %v", cut, err)
		}
		if err == nil {
			if cut < 10 {
				t.Errorf("the update was %d writes long", cut)
			}
			return
		}
	}
}

// TestDependencyRefused has what the cases of others do not have.
func TestDependencyRefused(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	sources := &processtest.Sources{Payloads: map[string][]byte{}}
	foreign := w.modem.plan(t, sources, author.Plan{Sequence: 1, Images: []author.Image{{
		Component: suit.ComponentPath("cfg"), Slots: []author.Slot{{Payload: []byte("x"), URI: "coap://h/x"}},
	}}})
	tampered := bytes.Replace(foreign, []byte("coap://h/x"), []byte("coap://h/y"), 1)
	missing := newFixture(t).plan(t, sources, author.Plan{Sequence: 1, Images: []author.Image{{
		Component: suit.ComponentPath("modem"), Slots: []author.Slot{{Payload: []byte("x"), URI: "coap://h/x"}},
	}}})
	tests := []struct {
		name     string
		envelope []byte
		result   int
	}{
		{"signer may not change the component", foreign, process.ResultFailed},
		{"manifest changed", tampered, process.ResultIntegrity},
		{"signer is not trusted", missing, process.ResultIntegrity},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			raw := w.plan(t, &processtest.Sources{Payloads: map[string][]byte{}}, author.Plan{
				Sequence:     3,
				Dependencies: []author.Dependency{{Component: suit.ComponentPath("dep/modem.suit"), Envelope: test.envelope}},
			})
			target, p := w.open(t, processtest.NewDisk(), sources)
			err := p.Update(t.Context(), raw)
			e, ok := errors.AsType[*process.Error](err)
			if !ok || e.Stage != process.StageDependencies || e.Reason != process.ReasonCondition ||
				process.Result(err) != test.result || p.Report(raw, err, nil).Failure.Record.Offset == 0 {
				t.Errorf("Update = %v (%d), want result %d", err, process.Result(err), test.result)
			}
			if _, ok, _ := target.Installed(t.Context()); ok {
				t.Errorf("a refused update was installed")
			}
		})
	}
}

// TestUninstall runs section uninstall of a root that drops its dependency: that
// one's runs as well, and its component is empty afterwards.
func TestUninstall(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	one := func(n int) suit.Command {
		return suit.Command{Code: suit.DirectiveSetComponentIndex, Index: suit.Index{List: []int{n}}}
	}
	write := func(text string) suit.Sequence {
		set := parameters(t, map[suit.Key]any{suit.ParameterContent: []byte(text)})
		return suit.Sequence{set, {Code: suit.DirectiveWrite}}
	}
	modem, dep, staging := suit.ComponentPath("modem"), suit.ComponentPath("dep/modem.suit"), suit.ComponentPath("staging")
	inner := w.modem.sign(t, &suit.Manifest{
		Components: []suit.ComponentID{modem},
		Sections:   map[suit.Section]suit.Sequence{suit.SectionInstall: write("new"), suit.SectionUninstall: write("gone")},
	})
	e, err := suit.Decode(inner, suit.Limits{})
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	process7 := suit.Sequence{{Code: suit.ConditionDependencyIntegrity}, {Code: suit.DirectiveProcessDependency}}
	m := &suit.Manifest{
		Sequence: 4, Components: []suit.ComponentID{w.component, dep, staging},
		Dependencies: []suit.Dependency{{Index: 1}},
		Sections: map[suit.Section]suit.Sequence{
			suit.SectionShared: {one(1), {Code: suit.ConditionIsDependency}, {
				Code: suit.DirectiveSetParameters, Parameters: parameters(t, map[suit.Key]any{
					suit.ParameterImageDigest: e.Digest, suit.ParameterURI: "#inner",
				}).Parameters,
			}},
			suit.SectionDependencies: append(suit.Sequence{one(1), {Code: suit.DirectiveFetch}}, process7...),
			suit.SectionInstall:      slices.Concat(suit.Sequence{one(1)}, process7, suit.Sequence{one(2)}, write("x")),
			suit.SectionUninstall:    {one(1), {Code: suit.DirectiveUnlink}, one(2), {Code: suit.DirectiveUnlink}},
		},
	}
	root, err := m.Envelope(suit.SHA256)
	if err != nil {
		t.Fatalf("Envelope: %v", err)
	}
	root.Integrated["#inner"] = inner
	signer, err := cose.NewSigner(w.key, 0, nil)
	if err != nil {
		t.Fatalf("NewSigner: %v", err)
	}
	raw, err := author.Sign(root, signer)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	target, p := w.open(t, processtest.NewDisk(), nil)
	k, err := p.Open(t.Context(), raw)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	if err := k.Install(t.Context()); err != nil || string(target.Content(modem)) != "new" || target.Content(dep) == nil {
		t.Fatalf("Install = %v, modem %q", err, target.Content(modem))
	}
	if err := k.Uninstall(t.Context()); err != nil {
		t.Fatalf("Uninstall: %v", err)
	}
	if string(target.Content(modem)) != "gone" || target.Content(dep) != nil || target.Content(staging) != nil {
		t.Errorf("after Uninstall: modem %q, dependency %x", target.Content(modem), target.Content(dep))
	}
	if in, _, _ := target.Installed(t.Context()); in.Sequence != 4 || len(in.Envelope) > 0 {
		t.Errorf("after Uninstall: %+v", in)
	}
	if err := p.Boot(t.Context()); !errors.Is(err, process.ErrAbsent) {
		t.Errorf("Boot = %v, want %v", err, process.ErrAbsent)
	}
}

// TestSlots installs for the slot from which the component runs.
func TestSlots(t *testing.T) {
	t.Parallel()
	for slot := range uint64(3) {
		w := newTree(t)
		w.components[w.component] = process.Component{Capacity: 1 << 20, Slot: slot}
		sources := &processtest.Sources{Payloads: map[string][]byte{}}
		slots := []author.Slot{
			{Number: 0, Payload: []byte("slot 0"), URI: "coap://h/0"},
			{Number: 1, Payload: []byte("slot one"), Integrated: true},
		}
		raw := w.plan(t, sources, author.Plan{
			Sequence: 1, Images: []author.Image{{Component: w.component, Boot: true, Slots: slots}},
		})
		target, p := w.open(t, processtest.NewDisk(), sources)
		err := p.Update(t.Context(), raw)
		want := map[uint64]string{0: "slot 0", 1: "slot one", 2: string(w.old)}[slot]
		if (err == nil) != (slot < 2) || string(target.Content(w.component)) != want {
			t.Errorf("slot %d: Update = %v, content %.20q", slot, err, target.Content(w.component))
		}
	}
}

// TestUnproven refuses what was decrypted without authentication and then not
// compared with a digest: whoever can change the ciphertext would choose the image.
func TestUnproven(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	o := cose.Encryption{Algorithm: cose.A128CTR, Recipients: []*cose.RecipientKey{w.group}}
	info, ciphertext, err := o.Encrypt([]byte("firmware"))
	if err != nil {
		t.Fatalf("Encrypt: %v", err)
	}
	digest, err := suit.Sum(suit.SHA256, []byte("firmware"))
	if err != nil {
		t.Fatalf("Sum: %v", err)
	}
	install := suit.Sequence{parameters(t, map[suit.Key]any{
		suit.ParameterContent: ciphertext, suit.ParameterEncryptionInfo: info, suit.ParameterImageDigest: digest,
	}), {Code: suit.DirectiveWrite}}
	m := &suit.Manifest{
		Components: []suit.ComponentID{w.component}, Sections: map[suit.Section]suit.Sequence{suit.SectionInstall: install},
	}
	target, p := w.open(t, processtest.NewDisk(), nil)
	err = p.Update(t.Context(), w.sign(t, m))
	if !errors.Is(err, process.ErrUnproven) || !bytes.Equal(target.Content(w.component), w.old) {
		t.Errorf("Update without image-match = %v, want %v", err, process.ErrUnproven)
	}
	m.Sections[suit.SectionInstall] = append(install, suit.Command{Code: suit.ConditionImageMatch})
	if err := p.Update(t.Context(), w.sign(t, m)); err != nil || string(target.Content(w.component)) != "firmware" {
		t.Errorf("Update with image-match = %v", err)
	}
}
