package cose_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"steward/suit/cose"
)

func TestSignTwo(t *testing.T) {
	t.Parallel()
	factory, operational := newP256(t), newP256(t)
	signers := []*cose.Signer{newSigner(t, factory, cose.ESP256), newSigner(t, operational, cose.ES256)}
	verifiers := []*cose.Verifier{newVerifier(t, factory.Public()), newVerifier(t, operational.Public())}
	aad, payload := []byte("steward/receipt/1"), []byte("receipt")
	for _, tagged := range []bool{false, true} {
		raw, err := cose.SignSign(signers, cose.Options{Payload: payload, ExternalAAD: aad, Tagged: tagged})
		if err != nil {
			t.Fatalf("SignSign: %v", err)
		}
		m, err := cose.ParseSign(raw)
		if err != nil || m.Tagged != tagged || len(m.Signatures) != 2 {
			t.Fatalf("ParseSign(%x) = %+v, %v", raw, m, err)
		}
		if string(m.Signatures[1].KeyID()) != "kid-0001" || m.Signatures[1].Algorithm() != cose.ES256 {
			t.Errorf("signature 1 has %q, %v", m.Signatures[1].KeyID(), m.Signatures[1].Algorithm())
		}
		if got, err := cose.VerifySign(raw, verifiers, nil, aad); err != nil || string(got) != string(payload) {
			t.Errorf("VerifySign = %q, %v", got, err)
		}
		if sum, err := m.Hash(nil); err != nil || sum != sha256.Sum256(payload) {
			t.Errorf("Hash = %x, %v", sum, err)
		}
		swapped := []*cose.Verifier{verifiers[1], verifiers[0]}
		for name, err := range map[string]error{
			"keys exchanged":   second(cose.VerifySign(raw, swapped, nil, aad)),
			"one key":          second(cose.VerifySign(raw, verifiers[:1], nil, aad)),
			"other aad":        second(cose.VerifySign(raw, verifiers, nil, nil)),
			"as a COSE_Sign1":  wrongKind(cose.VerifySign1(raw, verifiers[0], nil, aad)),
			"detached payload": wrongPayload(cose.VerifySign(raw, verifiers, payload, aad)),
		} {
			if !errors.Is(err, cose.ErrSignature) {
				t.Errorf("%s: %v, want %v", name, err, cose.ErrSignature)
			}
		}
	}
}

func second(_ []byte, err error) error { return err }

// wrongKind and wrongPayload turn the other errors expected into ErrSignature.
func wrongKind(_ []byte, err error) error {
	if errors.Is(err, cose.ErrSyntax) {
		return cose.ErrSignature
	}
	return err
}

func wrongPayload(_ []byte, err error) error {
	if errors.Is(err, cose.ErrPayload) {
		return cose.ErrSignature
	}
	return err
}

func TestSignDetached(t *testing.T) {
	t.Parallel()
	key := newP256(t)
	o := cose.Options{Payload: []byte("p"), Detached: true, Protected: map[int64]any{cose.LabelType: "application/x"}}
	raw, err := cose.SignSign([]*cose.Signer{newSigner(t, key, 0)}, o)
	if err != nil {
		t.Fatalf("SignSign: %v", err)
	}
	m, err := cose.ParseSign(raw)
	if err != nil || m.Payload != nil {
		t.Fatalf("ParseSign = %+v, %v", m, err)
	}
	if _, err := m.Verify(0, newVerifier(t, key.Public()), []byte("p"), nil); err != nil {
		t.Errorf("Verify: %v", err)
	}
	if _, err := cose.SignSign(nil, o); !errors.Is(err, cose.ErrOptions) {
		t.Errorf("SignSign without signers = %v, want %v", err, cose.ErrOptions)
	}
}

func TestParseSignRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
		want error
	}{
		{name: "no signatures", in: "8440a0410180", want: cose.ErrSyntax},
		{name: "nine signatures", in: "8440a0410189" + strings.Repeat("8343a10126a04102", 9), want: cose.ErrSyntax},
		{name: "tag of Sign1", in: "d28440a04101818343a10126a04102", want: cose.ErrSyntax},
		{name: "signature without algorithm", in: "8440a04101818340a04102", want: cose.ErrHeader},
		{name: "unknown algorithm", in: "8440a04101818343a10101a04102", want: cose.ErrAlgorithm},
		{name: "critical label in the body", in: "8448a2028118631863f5a04101818343a10126a04102", want: cose.ErrCritical},
		{name: "empty signature", in: "8440a04101818343a10126a040", want: cose.ErrSignature},
	}
	for _, test := range tests {
		if _, err := cose.ParseSign(unhex(t, test.in)); !errors.Is(err, test.want) {
			t.Errorf("%s: ParseSign(%s) = %v, want %v", test.name, test.in, err, test.want)
		}
	}
}
