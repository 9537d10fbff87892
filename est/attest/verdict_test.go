package attest_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"steward/est/attest"
	"steward/suit/cose"
)

func newVerdict(tb testing.TB) attest.Verdict {
	tb.Helper()
	e := honest(tb)
	a := attest.Appraise(&e, expected(tb, &e))
	v, err := attest.NewVerdict("Beta", &e, &a, noon)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func TestVerdictRoundTrip(t *testing.T) {
	signer, certificate := newVerifier(t)
	v := newVerdict(t)
	raw, err := v.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	got, err := attest.VerifyVerdict(raw, certificate)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*got, v) {
		t.Errorf("got %+v, want %+v", *got, v)
	}
}

// TestVerdictClaims reads the result with a plain decoder by the labels of
// draft-ietf-rats-ear §3.
func TestVerdictClaims(t *testing.T) {
	signer, _ := newVerifier(t)
	raw, err := newVerdict(t).Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	message, err := cose.ParseSign1(raw)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Profile string `cbor:"265,keyasint"`
		Modules map[string]struct {
			Status int            `cbor:"1000,keyasint"`
			Vector map[int]int    `cbor:"1001,keyasint"`
			_      map[string]any `cbor:"-"`
		} `cbor:"266,keyasint"`
		Verifier map[int]string `cbor:"1004,keyasint"`
	}
	if err := cbor.Unmarshal(message.Payload, &claims); err != nil {
		t.Fatal(err)
	}
	module := claims.Modules["device"]
	if claims.Profile != "tag:github.com,2023:veraison/ear" || module.Status != 2 || claims.Verifier[1] != "Beta" ||
		!reflect.DeepEqual(module.Vector, map[int]int{0: 2, 1: 2, 2: 2}) {
		t.Errorf("claims %+v", claims)
	}
}

func TestVerdictRefusesBadInput(t *testing.T) {
	signer, certificate := newVerifier(t)
	tests := map[string]func(*attest.Verdict){
		"no issuer":                func(v *attest.Verdict) { v.Issuer = "" },
		"no time":                  func(v *attest.Verdict) { v.IssuedAt = time.Time{} },
		"ends before it begins":    func(v *attest.Verdict) { v.Expires = v.IssuedAt },
		"short nonce":              func(v *attest.Verdict) { v.Nonce = nil },
		"no device":                func(v *attest.Verdict) { v.Device = attest.Hash{} },
		"tier better than vector":  func(v *attest.Verdict) { v.Vector.Executables = attest.ClaimContraindicated },
		"tier that does not exist": func(v *attest.Verdict) { v.Tier = 4 },
		"no reason":                func(v *attest.Verdict) { v.Reason = "" },
		"no key":                   func(v *attest.Verdict) { v.Key = attest.Hash{} },
	}
	for name, change := range tests {
		v := newVerdict(t)
		change(&v)
		if _, err := v.Sign(signer); !errors.Is(err, attest.ErrValue) {
			t.Errorf("%s: %v", name, err)
		}
	}
	raw, err := newVerdict(t).Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	_, other := newVerifier(t)
	if _, err := attest.VerifyVerdict(raw, other); !errors.Is(err, attest.ErrKey) {
		t.Errorf("another verifier: %v", err)
	}
	if _, err := attest.VerifyVerdict(raw, nil); !errors.Is(err, attest.ErrKey) {
		t.Errorf("no verifier: %v", err)
	}
	forger, _ := newVerifier(t)
	forger.Certificate = signer.Certificate
	forged, err := newVerdict(t).Sign(forger)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.VerifyVerdict(forged, certificate); !errors.Is(err, attest.ErrSignature) {
		t.Errorf("forged: %v", err)
	}
	evidence, err := honest(t).Sign(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.ParseVerdict(evidence); !errors.Is(err, attest.ErrSyntax) {
		t.Errorf("evidence: %v", err)
	}
	if _, err := attest.ParseVerdict(make([]byte, attest.MaxVerdict+1)); !errors.Is(err, attest.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func FuzzVerdict(f *testing.F) {
	signer, _ := newVerifier(f)
	raw, err := newVerdict(f).Sign(signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := attest.ParseVerdict(raw)
		if err != nil {
			return
		}
		if _, err := v.Sign(signer); err != nil {
			t.Errorf("accepted, but cannot be made: %v", err)
		}
	})
}
