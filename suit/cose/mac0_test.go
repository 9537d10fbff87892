package cose_test

import (
	"bytes"
	"errors"
	"testing"

	"steward/suit/cose"
)

func newMACKey(tb testing.TB) *cose.MACKey {
	tb.Helper()
	k, err := cose.NewMACKey(bytes.Repeat([]byte("a"), 32), []byte("kid"))
	if err != nil {
		tb.Fatalf("NewMACKey: %v", err)
	}
	return k
}

func TestMac0(t *testing.T) {
	t.Parallel()
	k := newMACKey(t)
	o := cose.Options{Payload: []byte("payload"), ExternalAAD: []byte("aad"), Detached: true, Tagged: true}
	raw, err := cose.SignMac0(k, o)
	if err != nil {
		t.Fatalf("SignMac0: %v", err)
	}
	m, err := cose.ParseMac0(raw)
	if err != nil || m.Algorithm() != cose.HMAC256 || string(m.KeyID()) != "kid" || !m.Tagged || len(m.Tag) != 32 {
		t.Fatalf("ParseMac0 = %+v, %v", m, err)
	}
	if got, err := m.Verify(k, o.Payload, o.ExternalAAD); err != nil || string(got) != "payload" {
		t.Errorf("Verify = %q, %v", got, err)
	}
	if _, err := m.Verify(k, []byte("Payload"), o.ExternalAAD); !errors.Is(err, cose.ErrSignature) {
		t.Errorf("Verify of another payload = %v, want %v", err, cose.ErrSignature)
	}
	if _, err := m.Verify(k, nil, nil); !errors.Is(err, cose.ErrPayload) {
		t.Errorf("Verify without payload = %v, want %v", err, cose.ErrPayload)
	}
	m.Tag = m.Tag[:8]
	if _, err := m.Verify(k, o.Payload, o.ExternalAAD); !errors.Is(err, cose.ErrSignature) {
		t.Errorf("Verify of a cut tag = %v, want %v", err, cose.ErrSignature)
	}
	if _, err := cose.NewMACKey(make([]byte, 31), nil); !errors.Is(err, cose.ErrKey) {
		t.Errorf("NewMACKey = %v, want %v", err, cose.ErrKey)
	}
	// RFC 9052 Appendix C.5 has no key of this length; base_hs256 of the SUIT cases does.
	digest := unhex(t, "822f5820f3919e0f603b10def63bd6ecbaa641032e46efff959152f2a4c66e804b4c0b67")
	block := unhex(t, "d18443a10105a0f658200a45b3447ebbf87f03630f6c7464ea78de12fc9a6db3f866be78faa8c8fe51c7")
	if m, err = cose.ParseMac0(block); err != nil {
		t.Fatalf("ParseMac0: %v", err)
	}
	if _, err := m.Verify(k, digest, nil); err != nil {
		t.Errorf("Verify of base_hs256 = %v", err)
	}
}

func TestParseMac0Refuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
		want error
	}{
		{"Sign1", "d28443a10105a041014102", cose.ErrSyntax},
		{"array of three", "8343a10105a04101", cose.ErrSyntax},
		{"no algorithm", "8440a041014102", cose.ErrHeader},
		{"algorithm not protected", "8440a1010541014102", cose.ErrHeader},
		{"signature algorithm", "8443a10126a041014102", cose.ErrAlgorithm},
		{"HMAC 256/64", "8443a10104a041014102", cose.ErrAlgorithm},
		{"crit", "844aa30105028118631863f5a041014102", cose.ErrCritical},
	}
	for _, test := range tests {
		if _, err := cose.ParseMac0(unhex(t, test.in)); !errors.Is(err, test.want) {
			t.Errorf("%s: ParseMac0(%s) = %v, want %v", test.name, test.in, err, test.want)
		}
	}
}
