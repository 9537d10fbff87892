package author_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"

	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
)

// A workshop has the keys with which tests author.
type workshop struct {
	author, operator, ed, p384 *cose.Signer
	mac                        *cose.MACKey
	device                     *ecdh.PrivateKey
	toDevice, toGroup, toAll   *cose.RecipientKey
}

func newWorkshop(tb testing.TB) *workshop {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatalf("making keys: %v", err)
		}
	}
	w := &workshop{}
	one, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	two, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	three, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(err)
	_, four, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	w.author, err = cose.NewSigner(one, 0, []byte("author"))
	must(err)
	w.operator, err = cose.NewSigner(two, cose.ES256, nil)
	must(err)
	w.p384, err = cose.NewSigner(three, cose.ES384, nil)
	must(err)
	w.ed, err = cose.NewSigner(four, 0, nil)
	must(err)
	w.mac, err = cose.NewMACKey(bytes.Repeat([]byte{9}, 32), nil)
	must(err)
	w.device, err = ecdh.P256().GenerateKey(rand.Reader)
	must(err)
	w.toDevice, err = cose.NewPublicKey(w.device.PublicKey(), []byte("device"))
	must(err)
	w.toGroup, err = cose.NewSharedKey(bytes.Repeat([]byte{7}, 16), []byte("group"))
	must(err)
	w.toAll, err = cose.NewSharedKey(bytes.Repeat([]byte{8}, 32), []byte("all"))
	must(err)
	return w
}

func plan(images ...author.Image) author.Plan {
	vendor := author.VendorID("vendor.example")
	return author.Plan{Vendor: vendor, Class: author.ClassID(vendor, "sensor"), Sequence: 7, Images: images}
}

// served is an image that the device fetches.
func served(component, payload string) author.Image {
	return author.Image{
		Component: suit.ComponentPath(component), Boot: component == "fw",
		Slots: []author.Slot{{Payload: []byte(payload), URI: "coap://h/" + component}},
	}
}

func encrypted(payload string, alg cose.Algorithm, to ...*cose.RecipientKey) author.Image {
	i := served("fw", payload)
	i.Staging = suit.ComponentPath("staging")
	i.Encryption = &cose.Encryption{Algorithm: alg, Recipients: to}
	return i
}

func slots() author.Image {
	return author.Image{
		Component: suit.ComponentPath("fw"), Boot: true, Slots: []author.Slot{
			{Number: 0, Payload: []byte("image for slot 0"), URI: "coap://h/a"},
			{Number: 1, Payload: []byte("image for the other slot"), Integrated: true},
		},
	}
}

// build builds and signs a plan.
func build(tb testing.TB, p author.Plan, signers ...*cose.Signer) ([]byte, map[string][]byte) {
	tb.Helper()
	b, err := p.Build()
	if err != nil {
		tb.Fatalf("Build: %v", err)
	}
	raw, err := author.Sign(b.Envelope, signers...)
	if err != nil {
		tb.Fatalf("Sign: %v", err)
	}
	return raw, b.Payloads
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	inline := served("fw", "x")
	inline.Slots[0] = author.Slot{Inline: true}
	unstaged := encrypted("x", 0, w.toGroup)
	unstaged.Staging = ""
	nobody := encrypted("x", 0)
	noURI := served("fw", "x")
	noURI.Slots[0].URI = ""
	unknown := served("fw", "x")
	unknown.Slots[0].Payload = nil
	digest := plan(served("fw", "x"))
	digest.Digest = -14
	anyone := plan(served("fw", "x"))
	anyone.Vendor = author.UUID{}
	dependency := plan()
	dependency.Dependencies = []author.Dependency{{Component: suit.ComponentPath("dep"), Envelope: []byte{0xa0}}}
	empty := plan()
	empty.Dependencies = []author.Dependency{{Component: suit.ComponentPath("dep")}}
	sever := plan(served("fw", "x"))
	sever.Sever = []suit.Element{suit.ElementValidate}
	tests := map[string]author.Plan{
		"nothing":                plan(),
		"no vendor":              anyone,
		"no component":           plan(author.Image{Slots: []author.Slot{{Payload: []byte("x"), URI: "u"}}}),
		"no payload":             plan(author.Image{Component: suit.ComponentPath("fw")}),
		"nothing to write":       plan(inline),
		"no place for a cipher":  plan(unstaged),
		"encrypted to nobody":    plan(nobody),
		"no URI":                 plan(noURI),
		"neither image nor size": plan(unknown),
		"SHA-1":                  digest,
		"no envelope":            empty,
		"not an envelope":        dependency,
		"validate severed":       sever,
	}
	for name, p := range tests {
		if _, err := p.Build(); !errors.Is(err, author.ErrOptions) {
			t.Errorf("%s: Build = %v, want %v", name, err, author.ErrOptions)
		}
	}
}

func TestCountersign(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	raw, _ := build(t, plan(served("fw", "x")), w.author)
	both, err := author.Countersign(raw, []*cose.Signer{w.operator}, w.mac)
	if err != nil {
		t.Fatalf("Countersign: %v", err)
	}
	before, err := suit.Decode(raw, suit.Limits{})
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	after, err := suit.Decode(both, suit.Limits{})
	if err != nil || len(after.Blocks) != 3 || !bytes.Equal(after.Blocks[0], before.Blocks[0]) ||
		!bytes.Equal(after.RawManifest, before.RawManifest) {
		t.Errorf("Countersign changed the envelope: %+v, %v", after, err)
	}
	before.RawManifest = append(before.RawManifest, 0)
	if _, err := author.Countersign(before.Encode(), nil, w.mac); !errors.Is(err, author.ErrEnvelope) {
		t.Errorf("Countersign of a changed manifest = %v, want %v", err, author.ErrEnvelope)
	}
	if _, err := author.Countersign([]byte{0xa0}, nil); !errors.Is(err, author.ErrEnvelope) {
		t.Errorf("Countersign of no envelope = %v, want %v", err, author.ErrEnvelope)
	}
}

func TestSever(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	p := plan(served("fw", "x"))
	p.Sever = []suit.Element{suit.ElementInstall}
	raw, _ := build(t, p, w.author)
	short, err := author.Sever(raw, suit.ElementInstall)
	if err != nil || len(short) >= len(raw) {
		t.Fatalf("Sever = %d bytes of %d, %v", len(short), len(raw), err)
	}
	e, err := suit.Decode(short, suit.Limits{})
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	m, err := e.Manifest()
	if _, ok := m.Severed[suit.ElementInstall]; err != nil || !ok {
		t.Errorf("Manifest = %+v, %v", m, err)
	}
	if _, err := author.Sever(raw, suit.ElementInvoke); !errors.Is(err, author.ErrOptions) {
		t.Errorf("Sever(invoke) = %v, want %v", err, author.ErrOptions)
	}
}
