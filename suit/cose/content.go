package cose

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// contentInfo describes an algorithm that encrypts content.
type contentInfo struct {
	key, iv  int // bytes
	overhead int // bytes of the tag; zero does not authenticate
}

// contents are the content encryption algorithms. It is never changed.
var contents = map[Algorithm]contentInfo{
	A128GCM:          {key: 16, iv: 12, overhead: 16},
	A256GCM:          {key: 32, iv: 12, overhead: 16},
	ChaCha20Poly1305: {key: 32, iv: 12, overhead: 16},
	A128CTR:          {key: 16, iv: 16},
	A256CTR:          {key: 32, iv: 16},
}

// ContentAlgorithm returns the algorithm with a registered name, such as "A128GCM",
// that encrypts content; the empty name means A128GCM. It returns ErrAlgorithm.
func ContentAlgorithm(name string) (Algorithm, error) {
	if name == "" {
		return A128GCM, nil
	}
	for alg := range contents {
		if alg.String() == name {
			return alg, nil
		}
	}
	return 0, fmt.Errorf("%w: %q", ErrAlgorithm, name)
}

// Authenticated reports whether a proves that its ciphertext was not changed.
func (a Algorithm) Authenticated() bool { return contents[a].overhead > 0 }

// aead returns the cipher of an authenticated algorithm.
func (a Algorithm) aead(key []byte) (cipher.AEAD, error) {
	if a == ChaCha20Poly1305 {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal encrypts plaintext; aad is ignored by algorithms that do not authenticate.
func (a Algorithm) seal(key, iv, plaintext, aad []byte) ([]byte, error) {
	if !a.Authenticated() {
		return a.stream(key, iv, plaintext)
	}
	c, err := a.aead(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return c.Seal(nil, iv, plaintext, aad), nil
}

// open decrypts what seal returned, or returns ErrDecrypt.
func (a Algorithm) open(key, iv, ciphertext, aad []byte) ([]byte, error) {
	info := contents[a]
	if len(key) != info.key || len(iv) != info.iv {
		return nil, fmt.Errorf("%w: key of %d bytes, IV of %d", ErrDecrypt, len(key), len(iv))
	}
	if !a.Authenticated() {
		return a.stream(key, iv, ciphertext)
	}
	c, err := a.aead(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	plaintext, err := c.Open(nil, iv, ciphertext, aad)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	return plaintext, nil
}

// stream is AES-CTR, whose two directions are the same.
func (a Algorithm) stream(key, iv, text []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	out := make([]byte, len(text))
	cipher.NewCTR(block, iv).XORKeyStream(out, text)
	return out, nil
}
