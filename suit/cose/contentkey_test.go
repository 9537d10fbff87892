package cose_test

import (
	"bytes"
	"errors"
	"testing"

	"steward/suit/cose"
)

// TestContentKey encrypts a content once, and its key to two devices at other times:
// each can read the same ciphertext, with its own message only.
func TestContentKey(t *testing.T) {
	t.Parallel()
	plaintext := []byte("firmware")
	for _, alg := range []cose.Algorithm{0, cose.A128GCM, cose.A256GCM, cose.ChaCha20Poly1305, cose.A128CTR} {
		fresh, err := cose.NewContentKey(alg, nil)
		if err != nil {
			t.Fatalf("%v: NewContentKey: %v", alg, err)
		}
		ciphertext, err := fresh.Encrypt(plaintext)
		if err != nil || bytes.Contains(ciphertext, plaintext) {
			t.Fatalf("%v: Encrypt = %x, %v", alg, ciphertext, err)
		}
		raw, err := fresh.Encode()
		if err != nil {
			t.Fatalf("%v: Encode: %v", alg, err)
		}
		kept, err := cose.ParseContentKey(raw)
		if err != nil {
			t.Fatalf("%v: ParseContentKey: %v", alg, err)
		}
		one, other := newP256ECDH(t), newP256ECDH(t)
		for _, device := range []struct {
			name string
			info func() ([]byte, error)
			want error // with the key of one
		}{
			{"one", func() ([]byte, error) { return fresh.EncryptTo(nil, publicKey(t, one, "")) }, nil},
			{"other", func() ([]byte, error) { return kept.EncryptTo(nil, publicKey(t, other, "")) }, cose.ErrDecrypt},
		} {
			info, err := device.info()
			if err != nil {
				t.Fatalf("%v, %s: EncryptTo: %v", alg, device.name, err)
			}
			m, err := cose.ParseEncrypt(info)
			if err != nil {
				t.Fatalf("%v, %s: ParseEncrypt: %v", alg, device.name, err)
			}
			if bytes.Contains(info, raw[7:18]) {
				t.Errorf("%v, %s: the message shows the key", alg, device.name)
			}
			got, err := m.Decrypt([]*cose.RecipientKey{privateKey(t, one, "")}, ciphertext)
			if !errors.Is(err, device.want) || err == nil && !bytes.Equal(got, plaintext) {
				t.Errorf("%v, %s: Decrypt = %q, %v, want %v", alg, device.name, got, err, device.want)
			}
		}
	}
}

func TestContentKeyRefuses(t *testing.T) {
	t.Parallel()
	if _, err := cose.NewContentKey(cose.ES256, nil); !errors.Is(err, cose.ErrAlgorithm) {
		t.Errorf("NewContentKey(ES256) = %v, want %v", err, cose.ErrAlgorithm)
	}
	k, err := cose.NewContentKey(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.EncryptTo(nil); !errors.Is(err, cose.ErrOptions) {
		t.Errorf("EncryptTo nobody = %v, want %v", err, cose.ErrOptions)
	}
	for _, test := range []struct {
		name, in string
		want     error
	}{
		{"nothing", "", cose.ErrSyntax},
		{"two parts", "820140", cose.ErrSyntax},
		{"ES256", "832640" + "40", cose.ErrAlgorithm},
		{"short key", "83014f" + "000102030405060708090a0b0c0d0e" + "4c000102030405060708090a0b", cose.ErrKey},
		{"short IV", "830150" + "000102030405060708090a0b0c0d0e0f" + "4b000102030405060708090a", cose.ErrKey},
	} {
		if _, err := cose.ParseContentKey(unhex(t, test.in)); !errors.Is(err, test.want) {
			t.Errorf("%s: ParseContentKey = %v, want %v", test.name, err, test.want)
		}
	}
}
