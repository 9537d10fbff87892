package cose_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"

	"steward/suit/cose"
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatalf("hexadecimal %q: %v", text, err)
	}
	return raw
}

func TestParseSign1Refuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
		want error
	}{
		{name: "nothing", in: "", want: cose.ErrSyntax},
		{name: "not an array", in: "a0", want: cose.ErrSyntax},
		{name: "tag 17", in: "d18443a10126a041014102", want: cose.ErrSyntax},
		{name: "array of three", in: "8343a10126a04101", want: cose.ErrSyntax},
		{name: "trailing byte", in: "8443a10126a04101410200", want: cose.ErrSyntax},
		{name: "indefinite array", in: "9f43a10126a041014102ff", want: cose.ErrSyntax},
		{name: "length not minimal", in: "845803a10126a041014102", want: cose.ErrSyntax},
		{name: "alg not minimal", in: "8444a1013806a041014102", want: cose.ErrSyntax},
		{name: "undefined payload", in: "8443a10126a0f74102", want: cose.ErrSyntax},
		{name: "payload is text", in: "8443a10126a061614102", want: cose.ErrSyntax},
		{name: "protected is null", in: "84f6a041014102", want: cose.ErrSyntax},
		{name: "protected is an empty map", in: "8441a0a041014102", want: cose.ErrSyntax},
		{name: "protected is an array", in: "844180a041014102", want: cose.ErrSyntax},
		{name: "labels out of order", in: "8446a204414b0126a041014102", want: cose.ErrSyntax},
		{name: "label twice", in: "8445a201260126a041014102", want: cose.ErrSyntax},
		{name: "tag in a header", in: "8446a2012603c100a041014102", want: cose.ErrSyntax},
		{name: "label is a byte string", in: "8446a20126414101a041014102", want: cose.ErrHeader},
		{name: "label is a boolean", in: "8445a20126f501a041014102", want: cose.ErrHeader},
		{name: "no algorithm", in: "8444a104414ba041014102", want: cose.ErrHeader},
		{name: "no protected map", in: "8440a1012641014102", want: cose.ErrHeader},
		{name: "label in both maps", in: "8446a2012604414ba104414b41014102", want: cose.ErrHeader},
		{name: "kid is a number", in: "8445a201260401a041014102", want: cose.ErrHeader},
		{name: "unknown algorithm RS256", in: "8445a101390100a041014102", want: cose.ErrAlgorithm},
		{name: "algorithm is text", in: "8445a101624142a041014102", want: cose.ErrAlgorithm},
		{name: "crit of a label not understood", in: "844aa30126028118631863f5a041014102", want: cose.ErrCritical},
		{name: "crit of an absent label", in: "8447a201260281181ea041014102", want: cose.ErrCritical},
		{name: "crit is empty", in: "8445a201260280a041014102", want: cose.ErrCritical},
		{name: "crit is not a list", in: "8445a201260201a041014102", want: cose.ErrCritical},
		{name: "crit not protected", in: "8443a10126a102810141014102", want: cose.ErrCritical},
		{name: "empty signature", in: "8443a10126a0410140", want: cose.ErrSignature},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := cose.ParseSign1(unhex(t, test.in)); !errors.Is(err, test.want) {
				t.Errorf("ParseSign1(%s) = %v, want %v", test.in, err, test.want)
			}
		})
	}
}

func TestCriticalUnderstood(t *testing.T) {
	t.Parallel()
	raw := unhex(t, "844aa30126028118631863f5a041014102")
	if _, err := cose.ParseSign1(raw, 99); err != nil {
		t.Errorf("ParseSign1 with label 99 understood = %v", err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	key := newP256(t)
	sign := func(o cose.Options) []byte {
		o.Payload = []byte("payload")
		raw, err := cose.SignSign1(newSigner(t, key, cose.ESP256), o)
		if err != nil {
			t.Fatalf("SignSign1: %v", err)
		}
		return raw
	}
	attached, detached := sign(cose.Options{}), sign(cose.Options{Detached: true})
	changed := bytes.Clone(attached)
	changed[len(changed)-1] ^= 1
	zero := append(bytes.Clone(attached[:len(attached)-64]), make([]byte, 64)...)
	own := newVerifier(t, key.Public())
	tests := []struct {
		name     string
		raw      []byte
		verifier *cose.Verifier
		payload  []byte
		want     error
	}{
		{name: "attached, not detached", raw: attached, verifier: own, payload: []byte("payload"), want: cose.ErrPayload},
		{name: "no payload at all", raw: detached, verifier: own, want: cose.ErrPayload},
		{name: "another payload", raw: detached, verifier: own, payload: []byte("Payload"), want: cose.ErrSignature},
		{name: "signature changed", raw: changed, verifier: own, want: cose.ErrSignature},
		{name: "r = s = 0", raw: zero, verifier: own, want: cose.ErrSignature},
		{name: "another key", raw: attached, verifier: newVerifier(t, newP256(t).Public()), want: cose.ErrSignature},
		{name: "algorithm not allowed", raw: attached, verifier: newVerifier(t, key.Public(), cose.ES256), want: cose.ErrKey},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := cose.VerifySign1(test.raw, test.verifier, test.payload, nil); !errors.Is(err, test.want) {
				t.Errorf("VerifySign1 = %v, want %v", err, test.want)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatalf("GenerateKey: %v", err)
	}
	if _, err := cose.NewVerifier(p521.Public()); !errors.Is(err, cose.ErrKey) {
		t.Errorf("NewVerifier(P-521) = %v, want %v", err, cose.ErrKey)
	}
	if _, err := cose.NewVerifier(newP256(t).Public(), cose.EdDSA); !errors.Is(err, cose.ErrKey) {
		t.Errorf("NewVerifier(P-256, EdDSA) = %v, want %v", err, cose.ErrKey)
	}
	if _, err := cose.NewSigner(newP256(t), -257, nil); !errors.Is(err, cose.ErrAlgorithm) {
		t.Errorf("NewSigner(RS256) = %v, want %v", err, cose.ErrAlgorithm)
	}
	if _, err := cose.NewSigner(nil, 0, nil); !errors.Is(err, cose.ErrKey) {
		t.Errorf("NewSigner(nil) = %v, want %v", err, cose.ErrKey)
	}
	o := cose.Options{Protected: map[int64]any{cose.LabelAlgorithm: -7}}
	if _, err := cose.SignSign1(newSigner(t, newP256(t), 0), o); !errors.Is(err, cose.ErrOptions) {
		t.Errorf("SignSign1 with a second alg = %v, want %v", err, cose.ErrOptions)
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want cose.Kind
	}{
		{"84", cose.KindUntagged},
		{"d284", cose.KindSign1},
		{"d184", cose.KindMac0},
		{"d86284", cose.KindSign},
		{"d86184", cose.KindMac},
	}
	for _, test := range tests {
		if got, err := cose.KindOf(unhex(t, test.in)); err != nil || got != test.want {
			t.Errorf("KindOf(%s) = %d, %v, want %d", test.in, got, err, test.want)
		}
	}
	for _, in := range []string{"", "a0", "d8", "d812", "d90102"} {
		if _, err := cose.KindOf(unhex(t, in)); !errors.Is(err, cose.ErrSyntax) {
			t.Errorf("KindOf(%s) = %v, want %v", in, err, cose.ErrSyntax)
		}
	}
}
