package cose_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"testing"

	"steward/suit/cose"
)

// macC54 is the message of RFC 9052 Appendix C.5.4: HMAC 256/256 for a P-521 key
// and for a shared one (A256KW).
const macC54 = "d8618543a10105a054546869732069732074686520636f6e74656e742e5820bf48235e809b5c42e995f2b7d5fa13620e" +
	"7ed834e337f6aa43df161e49e9323e828344a101381ca220a4010220032158420043b12669acac3fd27898ffba0bcd2e" +
	"6c366d53bc4db71f909a759304acfb5e18cdc7ba0b13ff8c7636271a6924b1ac63c02688075b55ef2d613574e7dc242f" +
	"79c322f504581e62696c626f2e62616767696e7340686f626269746f6e2e6578616d706c655828339bc4f79984cdc6b3" +
	"e6ce5f315a4c7d2b0ac466fcea69e8c07dfbca5bb1f661bc5f8e0df9e3eff58340a2012404582430313863306165352d" +
	"346439622d343731622d626664362d65656633313462633730333758280b2c7cfce04e98276342d6476a7723c090dfdd" +
	"15f9a518e7736549e998370695e6d6a83b4ae507bb"

func shared(t *testing.T, kek []byte, kid string) *cose.RecipientKey {
	t.Helper()
	k, err := cose.NewSharedKey(kek, []byte(kid))
	if err != nil {
		t.Fatalf("NewSharedKey: %v", err)
	}
	return k
}

func TestMacVector(t *testing.T) {
	t.Parallel()
	m, err := cose.ParseMac(unhex(t, macC54))
	if err != nil || len(m.Recipients) != 2 || m.Recipients[0].Algorithm() != cose.ECDHESA128KW || !m.Tagged {
		t.Fatalf("ParseMac = %+v, %v", m, err)
	}
	secret := unhex(t, "849b57219dae48de646d07dbb533566e976686457c1491be3a76dcea6c427188")
	for _, kid := range []string{"018c0ae5-4d9b-471b-bfd6-eef314bc7037", ""} {
		got, err := m.Verify([]*cose.RecipientKey{shared(t, secret, kid)}, nil, nil)
		if err != nil || string(got) != "This is the content." {
			t.Errorf("Verify with kid %q = %q, %v", kid, got, err)
		}
	}
	secret[0]++
	if _, err := m.Verify([]*cose.RecipientKey{shared(t, secret, "")}, nil, nil); !errors.Is(err, cose.ErrDecrypt) {
		t.Errorf("Verify with another key = %v, want %v", err, cose.ErrDecrypt)
	}
}

func TestMac(t *testing.T) {
	t.Parallel()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	toDevice, err := cose.NewPublicKey(private.PublicKey(), nil)
	if err != nil {
		t.Fatal(err)
	}
	device, err := cose.NewPrivateKey(private, nil)
	if err != nil {
		t.Fatal(err)
	}
	group := shared(t, bytes.Repeat([]byte{1}, 16), "group")
	direct := newMACKey(t).Direct()
	stranger := shared(t, bytes.Repeat([]byte{2}, 32), "")
	tests := []struct {
		name    string
		to      []*cose.RecipientKey
		by      *cose.RecipientKey
		sign    error
		verify  error
		proving bool // only those who share a secret could make it
	}{
		{"direct", []*cose.RecipientKey{direct}, direct, nil, nil, true},
		{"a group", []*cose.RecipientKey{group}, group, nil, nil, true},
		{"a group and a device", []*cose.RecipientKey{group, toDevice}, device, nil, nil, false},
		{"a stranger", []*cose.RecipientKey{group, toDevice}, stranger, nil, cose.ErrNoRecipient, true},
		{"nobody", nil, nil, cose.ErrOptions, nil, false},
		{"direct and others", []*cose.RecipientKey{group, direct}, nil, cose.ErrOptions, nil, false},
	}
	for _, tt := range tests {
		raw, err := cose.SignMac(tt.to, cose.Options{Payload: []byte("p"), Detached: true, Tagged: true})
		if !errors.Is(err, tt.sign) {
			t.Errorf("%s: SignMac = %v, want %v", tt.name, err, tt.sign)
		}
		if err != nil {
			continue
		}
		m, err := cose.ParseMac(raw)
		if err != nil {
			t.Errorf("%s: ParseMac: %v", tt.name, err)
			continue
		}
		keys := []*cose.RecipientKey{tt.by}
		if _, err := m.Verify(keys, []byte("p"), nil); !errors.Is(err, tt.verify) {
			t.Errorf("%s: Verify = %v, want %v", tt.name, err, tt.verify)
		}
		if _, err := m.Verify(keys, []byte("q"), nil); err == nil {
			t.Errorf("%s: Verify of another payload succeeds", tt.name)
		}
		if tt.by.Shared() != tt.proving {
			t.Errorf("%s: Shared = %t", tt.name, tt.by.Shared())
		}
	}
	_, _, err = cose.Encryption{Recipients: []*cose.RecipientKey{direct}}.Encrypt([]byte("x"))
	if !errors.Is(err, cose.ErrOptions) {
		t.Errorf("Encrypt to the key of a code = %v, want %v", err, cose.ErrOptions)
	}
}

func TestParseMacRefuses(t *testing.T) {
	t.Parallel()
	const direct = "8340a1012540"
	tests := []struct {
		name, in string
		want     error
	}{
		{"Mac0", "d18443a10105a041014102", cose.ErrSyntax},
		{"no recipients", "8543a10105a04101410280", cose.ErrSyntax},
		{"no algorithm", "8540a04101410281" + direct, cose.ErrHeader},
		{"RFC 9052 C.5.1, AES-MAC", "8543a1010fa04101410281" + direct, cose.ErrAlgorithm},
		{"direct and another", "8543a10105a04101410282" + direct + "8340a1012241aa", cose.ErrHeader},
		{"direct with a key", "8543a10105a041014102818340a1012541aa", cose.ErrHeader},
		{"direct, protected", "8543a10105a041014102818343a10125a040", cose.ErrHeader},
		{"crit of a recipient", "8543a10105a04101410281834aa30122028118631863f5a041aa", cose.ErrCritical},
	}
	for _, test := range tests {
		if _, err := cose.ParseMac(unhex(t, test.in)); !errors.Is(err, test.want) {
			t.Errorf("%s: ParseMac(%s) = %v, want %v", test.name, test.in, err, test.want)
		}
	}
}
