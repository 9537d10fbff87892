package author_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"

	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
)

func TestUUID(t *testing.T) {
	t.Parallel()
	vendor := author.VendorID("arm.com")
	if got, want := vendor.String(), "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe"; got != want { // draft-37 Appendix B
		t.Errorf("VendorID = %s, want %s", got, want)
	}
	if got, want := author.ClassID(vendor, "suit").String(), "1492af14-2569-5e48-bf42-9b2d51f2ab45"; got != want {
		t.Errorf("ClassID = %s, want %s", got, want)
	}
	for _, text := range []string{vendor.String(), "fa6b4a53d5ad5fdfbe9de663e4d41ffe"} {
		if got, err := author.ParseUUID(text); err != nil || got != vendor {
			t.Errorf("ParseUUID(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "fa6b4a53", "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ff", strings.Repeat("z", 32)} {
		if _, err := author.ParseUUID(text); !errors.Is(err, author.ErrOptions) {
			t.Errorf("ParseUUID(%q) = %v, want %v", text, err, author.ErrOptions)
		}
	}
}

func options() author.Options {
	vendor := author.VendorID("vendor.example")
	id := suit.ComponentPath("fw")
	return author.Options{
		Vendor: vendor, Class: author.ClassID(vendor, "sensor"), Sequence: 3, Component: id,
		Payload: []byte("firmware"), Integrated: true,
		Text: []suit.Text{{
			Language: "en", Manifest: map[suit.TextKey]string{suit.TextUpdateDescription: "fixes"},
			Components: map[suit.ComponentID]map[suit.ComponentTextKey]string{id: {suit.TextComponentVersion: "1.2.3"}},
		}},
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	digest, err := suit.Sum(suit.SHA256, []byte("other"))
	if err != nil {
		t.Fatalf("Sum: %v", err)
	}
	tests := []struct {
		name   string
		change func(*author.Options)
	}{
		{"no vendor", func(o *author.Options) { o.Vendor = author.UUID{} }},
		{"no class", func(o *author.Options) { o.Class = author.UUID{} }},
		{"no component", func(o *author.Options) { o.Component = "" }},
		{"malformed component", func(o *author.Options) { o.Component = "\x9f" }},
		{"nothing to integrate", func(o *author.Options) { o.Payload = nil }},
		{"no URI", func(o *author.Options) { o.Integrated = false }},
		{"fragment of a payload elsewhere", func(o *author.Options) { o.Integrated, o.URI = false, "#fw" }},
		{"no payload, no digest", func(o *author.Options) { o.Integrated, o.URI, o.Payload = false, "coap://h/fw", nil }},
		{"another digest", func(o *author.Options) { o.Digest = digest }},
		{"malformed language", func(o *author.Options) { o.Text[0].Language = "en_US!" }},
	}
	for _, test := range tests {
		o := options()
		test.change(&o)
		if _, err := author.Build(o); !errors.Is(err, author.ErrOptions) {
			t.Errorf("%s: Build = %v, want %v", test.name, err, author.ErrOptions)
		}
	}
}

// distant is a key that refuses to sign unless it is told the hash.
type distant struct{ key *ecdsa.PrivateKey }

func (d distant) Public() crypto.PublicKey { return d.key.Public() }

func (d distant) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if o.HashFunc() != crypto.SHA256 || len(digest) != o.HashFunc().Size() {
		return nil, errors.New("not a SHA-256 digest")
	}
	return d.key.Sign(random, digest, o)
}

func TestSign(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("GenerateKey: %v", err)
	}
	for _, alg := range []cose.Algorithm{cose.ES256, cose.ESP256} {
		signer, err := cose.NewSigner(distant{key}, alg, nil)
		if err != nil {
			t.Fatalf("NewSigner: %v", err)
		}
		built, err := author.Build(options())
		if err != nil {
			t.Fatalf("Build: %v", err)
		}
		raw, err := author.Sign(built, signer)
		if err != nil {
			t.Fatalf("Sign: %v", err)
		}
		e, err := suit.Decode(raw, suit.Limits{})
		if err != nil || len(e.Blocks) != 1 || !bytes.Equal(e.Integrated["#payload"], []byte("firmware")) {
			t.Fatalf("Decode = %+v, %v", e, err)
		}
		v, err := cose.NewVerifier(key.Public(), alg)
		if err != nil {
			t.Fatalf("NewVerifier: %v", err)
		}
		if _, err := cose.VerifySign1(e.Blocks[0], v, e.RawDigest, nil); err != nil {
			t.Errorf("%v: VerifySign1: %v", alg, err)
		}
		m, err := e.Manifest()
		if err != nil || m.Sequence != 3 || m.Text[0].Language != "en" {
			t.Errorf("Manifest = %+v, %v", m, err)
		}
		severed, err := author.SeverText(raw)
		if err != nil || len(severed) >= len(raw) {
			t.Errorf("SeverText = %d bytes of %d, %v", len(severed), len(raw), err)
		}
		if e, err = suit.Decode(severed, suit.Limits{}); err != nil {
			t.Fatalf("Decode: %v", err)
		}
		if m, err := e.Manifest(); err != nil || m.Text != nil {
			t.Errorf("Manifest after SeverText = %+v, %v", m, err)
		}
		e.RawManifest = append(e.RawManifest, 0)
		if _, err := author.Sign(e, signer); !errors.Is(err, author.ErrEnvelope) {
			t.Errorf("Sign of a changed manifest = %v, want %v", err, author.ErrEnvelope)
		}
	}
	if _, err := author.SeverText([]byte{0xa0}); !errors.Is(err, author.ErrEnvelope) {
		t.Errorf("SeverText = %v, want %v", err, author.ErrEnvelope)
	}
}
