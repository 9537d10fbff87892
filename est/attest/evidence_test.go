package attest_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"steward/est/attest"
	"steward/suit/cose"
)

func TestEvidenceRoundTrip(t *testing.T) {
	key, e := newKey(t), honest(t)
	raw, err := e.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := attest.VerifyEvidence(raw, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Key.Equal(e.Key) {
		t.Error("another key")
	}
	got.Key = e.Key
	if !reflect.DeepEqual(*got, e) {
		t.Errorf("got %+v, want %+v", *got, e)
	}
	if len(raw) > 600 {
		t.Errorf("evidence of one component has %d bytes", len(raw))
	}
}

// TestEvidenceClaims reads the token with a plain decoder by the claim keys of
// RFC 9711 §10.2.
func TestEvidenceClaims(t *testing.T) {
	e := honest(t)
	raw, err := e.Sign(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	message, err := cose.ParseSign1(raw)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[int64]any
	if err := cbor.Unmarshal(message.Payload, &claims); err != nil {
		t.Fatal(err)
	}
	want := map[int64]any{
		10: e.Nonce, 256: append([]byte{1}, e.Device[:]...), 262: true, 263: uint64(1), 265: attest.EvidenceProfile,
		267: uint64(7),
	}
	for label, value := range want {
		if !reflect.DeepEqual(claims[label], value) {
			t.Errorf("claim %d = %v, want %v", label, claims[label], value)
		}
	}
	for _, label := range []int64{8, 273, -65537} {
		if claims[label] == nil {
			t.Errorf("no claim %d", label)
		}
	}
	if len(claims) != 9 {
		t.Errorf("%d claims", len(claims))
	}
}

func TestEvidenceRefusesBadClaims(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		change func(*attest.Evidence)
		want   error
	}{
		"RFC 9711 §4.1 short nonce":  {func(e *attest.Evidence) { e.Nonce = e.Nonce[:7] }, attest.ErrValue},
		"RFC 9711 §4.1 long nonce":   {func(e *attest.Evidence) { e.Nonce = make([]byte, 65) }, attest.ErrValue},
		"no device":                  {func(e *attest.Evidence) { e.Device = attest.Hash{} }, attest.ErrValue},
		"RFC 9711 §4.2.9 debug of 5": {func(e *attest.Evidence) { e.Debug = 5 }, attest.ErrValue},
		"no component":               {func(e *attest.Evidence) { e.Components = nil }, attest.ErrValue},
		"component without a name":   {func(e *attest.Evidence) { e.Components[0].ID = nil }, attest.ErrValue},
		"component without digest":   {func(e *attest.Evidence) { e.Components[0].Digest.Value = nil }, attest.ErrValue},
		"long digest": {
			func(e *attest.Evidence) { e.Components[0].Digest.Value = make([]byte, 65) }, attest.ErrValue,
		},
		"empty manifest": {
			func(e *attest.Evidence) { e.Components[0].Manifest = &attest.Digest{} }, attest.ErrValue,
		},
		"component named twice": {
			func(e *attest.Evidence) { e.Components = append(e.Components, e.Components[0]) }, attest.ErrValue,
		},
		"too many components": {func(e *attest.Evidence) {
			e.Components = make([]attest.Component, attest.MaxComponents+1)
			for i := range e.Components {
				e.Components[i] = attest.Component{ID: []byte{byte(i)}, Digest: digestOf("")}
			}
		}, attest.ErrValue},
		"no key":       {func(e *attest.Evidence) { e.Key = nil }, attest.ErrKey},
		"key on P-384": {func(e *attest.Evidence) { e.Key = &other.PublicKey }, attest.ErrKey},
	}
	for name, test := range tests {
		e := honest(t)
		test.change(&e)
		if _, err := e.Sign(newKey(t)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := honest(t).Sign(other); !errors.Is(err, attest.ErrKey) {
		t.Errorf("signed with P-384: %v", err)
	}
	if _, err := honest(t).Sign(nil); !errors.Is(err, attest.ErrKey) {
		t.Errorf("signed with no key: %v", err)
	}
}

func TestEvidenceRefusesOtherSignatures(t *testing.T) {
	key, e := newKey(t), honest(t)
	raw, err := e.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.VerifyEvidence(raw, &newKey(t).PublicKey); !errors.Is(err, attest.ErrSignature) {
		t.Errorf("T14 copied factory key: %v", err)
	}
	if _, err := attest.VerifyEvidence(raw, nil); !errors.Is(err, attest.ErrKey) {
		t.Errorf("no key: %v", err)
	}
	message, err := cose.ParseSign1(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, aad := range []string{"", "steward/verdict/1", "steward/receipt/1"} {
		forged := signAs(t, key, message.Payload, aad)
		if _, err := attest.VerifyEvidence(forged, &key.PublicKey); !errors.Is(err, attest.ErrSignature) {
			t.Errorf("signature as %q: %v", aad, err)
		}
	}
}

func signAs(t *testing.T, key crypto.Signer, payload []byte, aad string) []byte {
	t.Helper()
	signer, err := cose.NewSigner(key, cose.ES256, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := cose.SignSign1(signer, cose.Options{Payload: payload, ExternalAAD: []byte(aad), Tagged: true})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestEvidenceIsStrict signs payloads that are not quite evidence.
func TestEvidenceIsStrict(t *testing.T) {
	key, e := newKey(t), honest(t)
	raw, err := e.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	message, err := cose.ParseSign1(raw)
	if err != nil {
		t.Fatal(err)
	}
	payload := message.Payload
	edit := func(change func(map[int64]any)) []byte {
		var m map[int64]any
		if err := cbor.Unmarshal(payload, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		mode, err := cbor.CoreDetEncOptions().EncMode()
		if err != nil {
			t.Fatal(err)
		}
		out, err := mode.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	tests := map[string]struct {
		payload []byte
		want    error
	}{
		"empty":           {nil, attest.ErrSyntax},
		"trailing byte":   {append(bytes.Clone(payload), 0), attest.ErrSyntax},
		"truncated":       {payload[:len(payload)-1], attest.ErrSyntax},
		"unknown claim":   {edit(func(m map[int64]any) { m[260] = 1 }), attest.ErrSyntax},
		"missing claim":   {edit(func(m map[int64]any) { delete(m, 262) }), attest.ErrSyntax},
		"other profile":   {edit(func(m map[int64]any) { m[265] = "tag:psacertified.org,2023:psa#tfm" }), attest.ErrProfile},
		"other ueid type": {edit(func(m map[int64]any) { m[256] = append([]byte{2}, e.Device[:]...) }), attest.ErrValue},
		"short ueid":      {edit(func(m map[int64]any) { m[256] = []byte{1, 2} }), attest.ErrValue},
		"point off the curve": {edit(func(m map[int64]any) {
			m[8] = map[int]any{1: map[int]any{1: 2, -1: 1, -2: make([]byte, 32), -3: make([]byte, 32)}}
		}), attest.ErrKey},
		"measurement in another format": {
			edit(func(m map[int64]any) { m[273] = []any{[]any{0, []byte{}}} }), attest.ErrValue,
		},
		"measurement that is none": {
			edit(func(m map[int64]any) { m[273] = []any{[]any{60, []byte{0xff}}} }), attest.ErrSyntax,
		},
	}
	for name, test := range tests {
		if _, err := attest.ParseEvidence(signAs(t, key, test.payload, "steward/evidence/1")); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if _, err := attest.ParseEvidence(make([]byte, attest.MaxEvidence+1)); !errors.Is(err, attest.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := attest.ParseEvidence([]byte{0xd2}); !errors.Is(err, attest.ErrSyntax) {
		t.Errorf("no COSE_Sign1: %v", err)
	}
}

func TestKey(t *testing.T) {
	key := newKey(t)
	raw, err := attest.EncodeKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	got, err := attest.DecodeKey(raw)
	if err != nil || !got.Equal(&key.PublicKey) {
		t.Fatalf("got %v, %v", got, err)
	}
	if _, err := attest.DecodeKey(raw[:10]); !errors.Is(err, attest.ErrSyntax) {
		t.Errorf("truncated: %v", err)
	}
	// A key agreement key, which cannot sign: OKP, X25519 (RFC 9053 §7.2).
	x25519 := []byte{0xa4, 1, 1, 0x20, 4, 0x21, 0x40, 0x22, 0x40}
	if _, err := attest.DecodeKey(x25519); !errors.Is(err, attest.ErrKey) {
		t.Errorf("X25519: %v", err)
	}
}

func FuzzEvidence(f *testing.F) {
	raw, err := honest(f).Sign(newKey(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := attest.ParseEvidence(raw)
		if err != nil {
			return
		}
		if _, err := e.Sign(newKey(t)); err != nil {
			t.Errorf("accepted, but cannot be made: %v", err)
		}
	})
}
