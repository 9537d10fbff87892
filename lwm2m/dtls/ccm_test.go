package dtls_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"math/rand/v2"
	"testing"

	"github.com/pion/dtls/v3/pkg/crypto/ccm"

	"steward/lwm2m/dtls"
)

func newBlock(tb testing.TB, key []byte) cipher.Block {
	tb.Helper()
	b, err := aes.NewCipher(key)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// TestCCM: SP 800-38C has one example with a nonce of 12 bytes; those of RFC 3610
// have 13.
func TestCCM(t *testing.T) {
	for _, c := range []struct {
		name, key, nonce, extra, message, want string
		tag                                    int
	}{{
		name: "SP 800-38C, C.3", key: "404142434445464748494a4b4c4d4e4f", nonce: "101112131415161718191a1b",
		extra:   "000102030405060708090a0b0c0d0e0f10111213",
		message: "202122232425262728292a2b2c2d2e2f3031323334353637",
		want:    "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951", tag: 8,
	}} {
		block, nonce, extra := newBlock(t, unhex(t, c.key)), [12]byte(unhex(t, c.nonce)), unhex(t, c.extra)
		sealed := dtls.SealCCM(block, c.tag, nonce, unhex(t, c.message), extra)
		if want := unhex(t, c.want); !bytes.Equal(sealed, want) {
			t.Errorf("%s: sealed %x, want %x", c.name, sealed, want)
		}
		if out, ok := dtls.OpenCCM(block, c.tag, nonce, sealed, extra); !ok || !bytes.Equal(out, unhex(t, c.message)) {
			t.Errorf("%s: opened %x, %t", c.name, out, ok)
		}
	}
}

// TestCCMAgainstAnother compares with the implementation of another make at every
// length around the block's, and refuses every changed bit of tag and message.
func TestCCMAgainstAnother(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	bytesOf := func(n int) []byte { b := make([]byte, n); _, _ = random.Read(b); return b }
	for n := range 70 {
		for _, tag := range []int{8, 16} {
			block, nonce := newBlock(t, bytesOf(16)), bytesOf(12)
			message, extra := bytesOf(n*3), bytesOf(1+n%40)
			other, err := ccm.NewCCM(block, tag, len(nonce))
			if err != nil {
				t.Fatal(err)
			}
			sealed := dtls.SealCCM(block, tag, [12]byte(nonce), message, extra)
			if want := other.Seal(nil, nonce, message, extra); !bytes.Equal(sealed, want) {
				t.Fatalf("message %x extra %x: sealed %x, want %x", message, extra, sealed, want)
			}
			sealed[random.Uint64()%uint64(len(sealed))] ^= 1 << (n % 8)
			if out, ok := dtls.OpenCCM(block, tag, [12]byte(nonce), sealed, extra); ok || !bytes.Equal(out, make([]byte, n*3)) {
				t.Fatalf("opened what was changed: %x, %t", out, ok)
			}
		}
	}
}
