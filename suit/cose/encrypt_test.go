package cose_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steward/suit/cose"
)

func loadHex(tb testing.TB, name string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		tb.Fatalf("reading vector: %v", err)
	}
	_, digits, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(digits)
}

func sharedKey(tb testing.TB, kek []byte, kid string) *cose.RecipientKey {
	tb.Helper()
	k, err := cose.NewSharedKey(kek, []byte(kid))
	if err != nil {
		tb.Fatalf("NewSharedKey: %v", err)
	}
	return k
}

func privateKey(tb testing.TB, key *ecdh.PrivateKey, kid string) *cose.RecipientKey {
	tb.Helper()
	k, err := cose.NewPrivateKey(key, []byte(kid))
	if err != nil {
		tb.Fatalf("NewPrivateKey: %v", err)
	}
	return k
}

func publicKey(tb testing.TB, key *ecdh.PrivateKey, kid string) *cose.RecipientKey {
	tb.Helper()
	k, err := cose.NewPublicKey(key.PublicKey(), []byte(kid))
	if err != nil {
		tb.Fatalf("NewPublicKey: %v", err)
	}
	return k
}

func newP256ECDH(tb testing.TB) *ecdh.PrivateKey {
	tb.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatalf("GenerateKey: %v", err)
	}
	return key
}

// published are the keys of the examples of firmware encryption.
func published(t *testing.T) []*cose.RecipientKey {
	t.Helper()
	d := unhex(t, "60fe6dd6d85d5740a5349b6f91267eeac5ba81b8cb53ee249e4b4eb102c476b3")
	key, err := ecdh.P256().NewPrivateKey(d)
	if err != nil {
		t.Fatalf("NewPrivateKey: %v", err)
	}
	return []*cose.RecipientKey{sharedKey(t, bytes.Repeat([]byte("a"), 16), "kid-1"), privateKey(t, key, "kid-2")}
}

func TestPublishedEncryption(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"aes-kw-aes-ctr", "aes-kw-aes-gcm", "es-ecdh-aes-ctr", "es-ecdh-aes-gcm"} {
		m, err := cose.ParseEncrypt(unhex(t, loadHex(t, "encinfo_"+name)))
		if err != nil {
			t.Errorf("%s: ParseEncrypt: %v", name, err)
			continue
		}
		got, err := m.Decrypt(published(t), unhex(t, loadHex(t, "encpayload_"+name)))
		if want := "This is a real firmware image."; err != nil || string(got) != want {
			t.Errorf("%s: Decrypt = %q, %v, want %q", name, got, err, want)
		}
		if ctr := strings.HasSuffix(name, "ctr"); m.Algorithm().Authenticated() == ctr || (m.Overhead() == 0) != ctr {
			t.Errorf("%s: %v is taken for the other kind", name, m.Algorithm())
		}
	}
}

func TestEncryptRoundTrip(t *testing.T) {
	t.Parallel()
	device, other := newP256ECDH(t), newP256ECDH(t)
	group := sharedKey(t, bytes.Repeat([]byte{7}, 32), "group")
	small := sharedKey(t, bytes.Repeat([]byte{8}, 16), "")
	plaintext := []byte("firmware")
	algs := []cose.Algorithm{0, cose.A128GCM, cose.A256GCM, cose.ChaCha20Poly1305, cose.A128CTR, cose.A256CTR}
	for _, alg := range algs {
		o := cose.Encryption{
			Algorithm: alg, Recipients: []*cose.RecipientKey{group, small, publicKey(t, device, "device")},
		}
		info, ciphertext, err := o.Encrypt(plaintext)
		if err != nil {
			t.Fatalf("%v: Encrypt: %v", alg, err)
		}
		m, err := cose.ParseEncrypt(info)
		if err != nil {
			t.Fatalf("%v: ParseEncrypt(%x): %v", alg, info, err)
		}
		if len(ciphertext) != len(plaintext)+m.Overhead() || len(m.Recipients) != 3 ||
			m.Recipients[0].Algorithm() != cose.A256KW {
			t.Errorf("%v: %d bytes, recipients %+v", alg, len(ciphertext), m.Recipients)
		}
		for _, key := range []*cose.RecipientKey{group, small, privateKey(t, device, "device"), privateKey(t, device, "")} {
			if got, err := m.Decrypt([]*cose.RecipientKey{key}, ciphertext); err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("%v with %v: Decrypt = %q, %v", alg, key.Algorithm(), got, err)
			}
		}
		_, err = m.Decrypt([]*cose.RecipientKey{privateKey(t, other, "device")}, ciphertext)
		if !errors.Is(err, cose.ErrDecrypt) {
			t.Errorf("%v: Decrypt with another key = %v, want %v", alg, err, cose.ErrDecrypt)
		}
		_, err = m.Decrypt([]*cose.RecipientKey{publicKey(t, device, "")}, ciphertext)
		if !errors.Is(err, cose.ErrNoRecipient) {
			t.Errorf("%v: Decrypt with a public key = %v, want %v", alg, err, cose.ErrNoRecipient)
		}
		if _, err = m.Decrypt(nil, ciphertext); !errors.Is(err, cose.ErrNoRecipient) {
			t.Errorf("%v: Decrypt without keys = %v, want %v", alg, err, cose.ErrNoRecipient)
		}
		ciphertext[0] ^= 1
		got, err := m.Decrypt([]*cose.RecipientKey{group}, ciphertext)
		if m.Algorithm().Authenticated() != errors.Is(err, cose.ErrDecrypt) || bytes.Equal(got, plaintext) {
			t.Errorf("%v: Decrypt of a changed ciphertext = %q, %v", alg, got, err)
		}
	}
}

func TestParseEncryptRefuses(t *testing.T) {
	t.Parallel()
	gcm := loadHex(t, "encinfo_aes-kw-aes-gcm")
	ctr := loadHex(t, "encinfo_aes-kw-aes-ctr")
	swap := func(text, from, to string) string {
		if !strings.Contains(text, from) {
			t.Fatalf("no %s in %s", from, text)
		}
		return strings.Replace(text, from, to, 1)
	}
	tests := []struct {
		name string
		in   string
		want error
	}{
		{"no tag", gcm[4:], cose.ErrSyntax},
		{"Encrypt0", "d0" + gcm[4:], cose.ErrSyntax},
		{"ciphertext attached", swap(gcm, "f6", "40"), cose.ErrPayload},
		{"no recipients", "d8608443a10101a1054cf14aab9d81d51f7ad943fe87f680", cose.ErrSyntax},
		{"IV of GCM is short", "d8608443a10101a1054bf14aab9d81d51f7ad943fef6818340a12022" + "40", cose.ErrHeader},
		{"no IV", "d8608443a10101a0f6818340a1012240", cose.ErrHeader},
		{"AES-CCM", "d8608443a1010aa1054cf14aab9d81d51f7ad943fe87f6818340a1012240", cose.ErrAlgorithm},
		{"GCM not protected", "d8608440a20101054cf14aab9d81d51f7ad943fe87f6818340a1012240", cose.ErrHeader},
		{"CTR protected", "d8608445a10139fffda105" + ctr[20:54] + "f6818340a1012240", cose.ErrHeader},
	}
	for _, test := range tests {
		if _, err := cose.ParseEncrypt(unhex(t, test.in)); !errors.Is(err, test.want) {
			t.Errorf("%s: ParseEncrypt(%s) = %v, want %v", test.name, test.in, err, test.want)
		}
	}
}

func TestEncryptRefuses(t *testing.T) {
	t.Parallel()
	if _, err := cose.NewSharedKey(make([]byte, 24), nil); !errors.Is(err, cose.ErrKey) {
		t.Errorf("NewSharedKey = %v, want %v", err, cose.ErrKey)
	}
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("GenerateKey: %v", err)
	}
	if _, err := cose.NewPrivateKey(key, nil); !errors.Is(err, cose.ErrKey) {
		t.Errorf("NewPrivateKey(X25519) = %v, want %v", err, cose.ErrKey)
	}
	if _, err := cose.NewPrivateKey(nil, nil); !errors.Is(err, cose.ErrKey) {
		t.Errorf("NewPrivateKey(nil) = %v, want %v", err, cose.ErrKey)
	}
	if _, _, err := (cose.Encryption{}).Encrypt(nil); !errors.Is(err, cose.ErrOptions) {
		t.Errorf("Encrypt to nobody = %v, want %v", err, cose.ErrOptions)
	}
	if _, _, err := (cose.Encryption{Algorithm: cose.ES256}).Encrypt(nil); !errors.Is(err, cose.ErrAlgorithm) {
		t.Errorf("Encrypt with ES256 = %v, want %v", err, cose.ErrAlgorithm)
	}
}

// FuzzEncrypt parses and decrypts arbitrary encryption infos.
func FuzzEncrypt(f *testing.F) {
	device := newP256ECDH(f)
	shared := sharedKey(f, bytes.Repeat([]byte{7}, 16), "group")
	keys := []*cose.RecipientKey{shared, privateKey(f, device, "device")}
	for _, alg := range []cose.Algorithm{cose.A128GCM, cose.A128CTR} {
		o := cose.Encryption{Algorithm: alg, Recipients: []*cose.RecipientKey{shared, publicKey(f, device, "device")}}
		info, ciphertext, err := o.Encrypt([]byte("firmware"))
		if err != nil {
			f.Fatalf("Encrypt: %v", err)
		}
		f.Add(info, ciphertext)
	}
	f.Fuzz(func(t *testing.T, info, ciphertext []byte) {
		m, err := cose.ParseEncrypt(info)
		if err != nil {
			return
		}
		if len(m.Recipients) > cose.MaxRecipients {
			t.Errorf("ParseEncrypt returned %d recipients", len(m.Recipients))
		}
		if got, err := m.Decrypt(keys, ciphertext); err == nil && len(got)+m.Overhead() != len(ciphertext) {
			t.Errorf("Decrypt of %d bytes returned %d", len(ciphertext), len(got))
		}
	})
}
