package cose_test

import (
	"bytes"
	"testing"

	"steward/suit/cose"
)

// FuzzCOSE parses arbitrary bytes. What is accepted must verify or fail without
// a panic, must give its parts back unchanged, and be no larger than its input.
func FuzzCOSE(f *testing.F) {
	key := newP256(f)
	signer, verifier := newSigner(f, key, cose.ESP256), newVerifier(f, key.Public())
	o := cose.Options{Payload: []byte("payload"), Protected: map[int64]any{15: map[int64]any{1: "a"}}}
	for _, tagged := range []bool{false, true} {
		for _, detached := range []bool{false, true} {
			o.Tagged, o.Detached = tagged, detached
			one, err := cose.SignSign1(signer, o)
			if err != nil {
				f.Fatalf("SignSign1: %v", err)
			}
			two, err := cose.SignSign([]*cose.Signer{signer, signer}, o)
			if err != nil {
				f.Fatalf("SignSign: %v", err)
			}
			f.Add(one)
			f.Add(two)
		}
	}
	code, err := cose.SignMac0(newMACKey(f), o)
	if err != nil {
		f.Fatalf("SignMac0: %v", err)
	}
	f.Add(code)
	shared, err := cose.NewSharedKey(make([]byte, 16), nil)
	if err != nil {
		f.Fatalf("NewSharedKey: %v", err)
	}
	recipients := []*cose.RecipientKey{newMACKey(f).Direct(), shared}
	for _, r := range recipients {
		code, err := cose.SignMac([]*cose.RecipientKey{r}, o)
		if err != nil {
			f.Fatalf("SignMac: %v", err)
		}
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if m, err := cose.ParseMac0(raw); err == nil {
			if len(m.RawProtected())+len(m.Payload)+len(m.Tag) > len(raw) {
				t.Errorf("ParseMac0(%x) returned more than it got", raw)
			}
			_, _ = m.Verify(newMACKey(t), nil, nil)
		}
		if m, err := cose.ParseMac(raw); err == nil {
			if n := len(m.Recipients); n == 0 || n > cose.MaxRecipients || len(m.Payload)+len(m.Tag) > len(raw) {
				t.Errorf("ParseMac(%x) returned more than it got", raw)
			}
			_, _ = m.Verify(recipients, nil, nil)
		}
		if m, err := cose.ParseSign1(raw); err == nil {
			if len(m.RawProtected())+len(m.Payload)+len(m.Signature) > len(raw) || !bytes.Contains(raw, m.Payload) {
				t.Errorf("ParseSign1(%x) returned more than it got", raw)
			}
			if !m.Algorithm().Supported() {
				t.Errorf("ParseSign1(%x) accepted %v", raw, m.Algorithm())
			}
			_, _ = m.Verify(verifier, nil, nil)
		}
		if m, err := cose.ParseSign(raw); err == nil {
			if len(m.Signatures) == 0 || len(m.Signatures) > cose.MaxSignatures {
				t.Errorf("ParseSign(%x) returned %d signatures", raw, len(m.Signatures))
			}
			_, _ = m.Verify(0, verifier, nil, nil)
		}
	})
}
