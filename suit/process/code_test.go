package process_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"io"
	"testing"

	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
	"steward/suit/process"
	"steward/suit/process/processtest"
)

// TestCodesForRecipients authenticates by COSE_Mac: only those who share a secret
// with the device can make a code that counts.
func TestCodesForRecipients(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	secret := func(b byte) *cose.RecipientKey {
		k, err := cose.NewSharedKey(bytes.Repeat([]byte{b}, 16), nil)
		if err != nil {
			t.Fatalf("NewSharedKey: %v", err)
		}
		return k
	}
	direct, err := cose.NewMACKey(bytes.Repeat([]byte{3}, 32), []byte("direct"))
	if err != nil {
		t.Fatalf("NewMACKey: %v", err)
	}
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("GenerateKey: %v", err)
	}
	device, err := cose.NewPrivateKey(private, nil)
	if err != nil {
		t.Fatalf("NewPrivateKey: %v", err)
	}
	tests := []struct {
		name   string
		by     *cose.RecipientKey
		anchor process.Anchor
		reason process.Reason // empty: accepted
	}{
		{"group", secret(1), process.Anchor{Wrapping: secret(1)}, ""},
		{"shared directly", direct.Direct(), process.Anchor{Secret: direct}, ""},
		{"another group", secret(1), process.Anchor{Wrapping: secret(2)}, process.ReasonUnauthorised},
		{"public key as a secret", secret(1), process.Anchor{Key: f.key.Public()}, process.ReasonUnauthorised},
	}
	for _, tt := range tests {
		e, err := author.Build(author.Options{
			Vendor: f.vendor, Class: f.class, Sequence: 1, Component: f.component, Payload: f.old, Integrated: true,
		})
		if err != nil {
			t.Fatalf("Build: %v", err)
		}
		raw, err := author.AuthenticateTo(e, tt.by)
		if err != nil {
			t.Fatalf("%s: AuthenticateTo: %v", tt.name, err)
		}
		o := process.Options{
			Anchors:  []process.Anchor{tt.anchor},
			Identity: process.Identity{Vendors: [][]byte{f.vendor[:]}, Classes: [][]byte{f.class[:]}},
			Target:   processtest.Open(processtest.NewDisk(), f.components, nil),
		}
		p, err := process.New(o)
		if err != nil {
			t.Fatalf("%s: New: %v", tt.name, err)
		}
		err = p.Update(t.Context(), raw)
		refused, ok := errors.AsType[*process.Error](err)
		if ok != (tt.reason != "") || ok && refused.Reason != tt.reason {
			t.Errorf("%s: Update = %v, want %q", tt.name, err, tt.reason)
		}
		if _, err := author.AuthenticateTo(e, device); !errors.Is(err, author.ErrOptions) {
			t.Errorf("AuthenticateTo a public key = %v, want %v", err, author.ErrOptions)
		}
		o.Anchors = []process.Anchor{{Wrapping: device}}
		if _, err := process.New(o); !errors.Is(err, process.ErrOptions) {
			t.Errorf("New with a key pair for codes = %v, want %v", err, process.ErrOptions)
		}
	}
}

// arguing is a Fetcher that understands arguments and remembers them.
type arguing struct {
	processtest.Sources

	arguments []byte
}

func (a *arguing) FetchWith(ctx context.Context, uri string, at uint64, arguments []byte) (io.ReadCloser, error) {
	a.arguments = bytes.Clone(arguments)
	return a.Fetch(ctx, uri, at)
}

// TestFetchArguments passes the parameter on, or refuses the manifest where the
// Fetcher has no use for it.
func TestFetchArguments(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	plan := author.Plan{Vendor: f.vendor, Class: f.class, Sequence: 5, Images: []author.Image{{
		Component: f.component,
		Slots:     []author.Slot{{Payload: f.old, URI: payloadURI, FetchArguments: []byte{0xa1, 1, 2}}},
	}}}
	built, err := plan.Build()
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	signer, err := cose.NewSigner(f.key, 0, nil)
	if err != nil {
		t.Fatalf("NewSigner: %v", err)
	}
	raw, err := author.Sign(built.Envelope, signer)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	deaf := processtest.Sources{Payloads: map[string][]byte{payloadURI: f.old}}
	with := &arguing{Sources: deaf}
	for _, fetch := range []process.Fetcher{&deaf, with} {
		p, err := process.New(process.Options{
			Anchors:  []process.Anchor{{Key: f.key.Public()}},
			Identity: process.Identity{Vendors: [][]byte{f.vendor[:]}, Classes: [][]byte{f.class[:]}},
			Target:   processtest.Open(processtest.NewDisk(), f.components, nil), Fetch: fetch,
		})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		want := error(nil)
		if fetch != with {
			want = suit.ErrNotImplemented
		}
		if err := p.Update(t.Context(), raw); !errors.Is(err, want) {
			t.Errorf("Update by %T = %v, want %v", fetch, err, want)
		}
	}
	if !bytes.Equal(with.arguments, []byte{0xa1, 1, 2}) {
		t.Errorf("arguments = %x", with.arguments)
	}
}
