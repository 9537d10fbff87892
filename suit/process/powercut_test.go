package process_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
	"steward/suit/process"
	"steward/suit/process/processtest"
)

const payloadURI = "coap://provider.example/fw/2"

// A fixture is a device and its vendor.
type fixture struct {
	key        *ecdsa.PrivateKey
	vendor     author.UUID
	class      author.UUID
	component  suit.ComponentID
	components map[suit.ComponentID]process.Component
	old        []byte
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("GenerateKey: %v", err)
	}
	return key
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	vendor := author.VendorID("vendor.example")
	id := suit.ComponentPath("fw")
	return &fixture{
		key: newKey(t), vendor: vendor, class: author.ClassID(vendor, "sensor"), component: id,
		components: map[suit.ComponentID]process.Component{id: {Capacity: 1 << 20}},
		old:        image(1, 50_000),
	}
}

// image returns an image of n bytes.
func image(seed byte, n int) []byte {
	raw := make([]byte, n)
	for i := range raw {
		raw[i] = seed + byte(i*7)
	}
	return raw
}

// envelope builds and signs an update.
func (f *fixture) envelope(t *testing.T, sequence uint64, payload []byte, integrated bool) []byte {
	t.Helper()
	o := author.Options{
		Vendor: f.vendor, Class: f.class, Sequence: sequence, Component: f.component,
		Payload: payload, Integrated: integrated,
	}
	if !integrated {
		o.URI = payloadURI
	}
	e, err := author.Build(o)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	signer, err := cose.NewSigner(f.key, cose.ESP256, nil)
	if err != nil {
		t.Fatalf("NewSigner: %v", err)
	}
	raw, err := author.Sign(e, signer)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	return raw
}

// start opens the device on what its disk holds.
func (f *fixture) start(t *testing.T, d *processtest.Disk, fetch process.Fetcher) (
	*processtest.Target, *process.Processor,
) {
	t.Helper()
	target := processtest.Open(d, f.components, map[suit.ComponentID][]byte{f.component: f.old})
	p, err := process.New(process.Options{
		Anchors:  []process.Anchor{{Key: f.key.Public()}},
		Identity: process.Identity{Vendors: [][]byte{f.vendor[:]}, Classes: [][]byte{f.class[:]}},
		Target:   target, Fetch: fetch,
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return target, p
}

// TestPowerCut cuts the power at every write of an update. The device must boot
// the old image or the new one, and take the update when it is sent again.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	renewed := image(2, 70_000)
	for _, integrated := range []bool{true, false} {
		first, second := f.envelope(t, 1, f.old, true), f.envelope(t, 2, renewed, integrated)
		sources := &processtest.Sources{Payloads: map[string][]byte{payloadURI: renewed}}
		for cut := 0; ; cut++ {
			name := fmt.Sprintf("integrated %v, cut %d", integrated, cut)
			disk := processtest.NewDisk()
			_, p := f.start(t, disk, sources)
			if err := p.Update(t.Context(), first); err != nil {
				t.Fatalf("first update: %v", err)
			}
			disk.Cut = cut
			err := p.Update(t.Context(), second)
			if err != nil && !errors.Is(err, processtest.ErrPower) {
				t.Fatalf("%s: Update = %v", name, err)
			}
			disk.PowerOn()
			target, p := f.start(t, disk, sources)
			if bootErr := p.Boot(t.Context()); bootErr != nil || len(target.Invoked) != 1 {
				t.Errorf("%s: Boot = %v, invoked %v", name, bootErr, target.Invoked)
			}
			in, _, _ := target.Installed(t.Context())
			want := f.old
			if in.Sequence == 2 {
				want = renewed
			}
			if (err == nil) != (in.Sequence == 2) || !bytes.Equal(target.Content(f.component), want) {
				t.Errorf("%s: sequence %d with another image", name, in.Sequence)
			}
			if err := p.Update(t.Context(), second); err != nil {
				t.Errorf("%s: Update again = %v", name, err)
			}
			if !bytes.Equal(target.Content(f.component), renewed) {
				t.Errorf("%s: image not installed after the second try", name)
			}
			if err == nil {
				break
			}
		}
	}
}

// TestResume breaks the connection again and again: the payload is fetched from
// where it broke off, and the old image stays until all is there.
func TestResume(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	renewed := image(2, 100_000)
	raw := f.envelope(t, 2, renewed, false)
	disk := processtest.NewDisk()
	sources := &processtest.Sources{Payloads: map[string][]byte{payloadURI: renewed}, BreakAfter: 40_000}
	var results []int
	for range 3 {
		target, p := f.start(t, disk, sources)
		if !bytes.Equal(target.Content(f.component), f.old) {
			t.Fatalf("old image gone before the commit")
		}
		results = append(results, process.Result(p.Update(t.Context(), raw)))
	}
	if got, want := fmt.Sprint(results), "[4 4 1]"; got != want {
		t.Errorf("results = %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(sources.Offsets), "[0 40000 80000]"; got != want {
		t.Errorf("offsets = %s, want %s", got, want)
	}
	target, _ := f.start(t, disk, sources)
	if !bytes.Equal(target.Content(f.component), renewed) {
		t.Errorf("new image not installed")
	}
}
