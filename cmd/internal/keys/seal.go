package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
)

// ErrSealed reports sealed bytes that this key does not open for this purpose.
var ErrSealed = errors.New("cannot be opened with the key of this data directory")

const sealKeyLength = 32

// A Sealer encrypts secrets that are kept in the database, so that neither a copy
// of it nor its backup holds them in the clear. AES-256-GCM with random nonces.
type Sealer struct{ aead cipher.AEAD }

// OpenSealer reads the key at path, making it at the first start.
func OpenSealer(path string) (*Sealer, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key := make([]byte, sealKeyLength)
		_, _ = rand.Read(key) // never fails
		text = []byte(hex.EncodeToString(key))
		err = WriteFile(path, text)
	}
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(string(text))
	if err != nil || len(key) != sealKeyLength {
		return nil, fmt.Errorf("%s: want %d bytes in hex", path, sealKeyLength)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &Sealer{aead}, err
}

// Seal encrypts secret for one purpose, such as a table and the row's key.
func (s *Sealer) Seal(secret []byte, purpose string) []byte {
	return s.aead.Seal(nil, nil, secret, []byte(purpose)) //nolint:gosec // G407: it chooses its nonce itself
}

// Open returns what was sealed for purpose, or ErrSealed.
func (s *Sealer) Open(sealed []byte, purpose string) ([]byte, error) {
	secret, err := s.aead.Open(nil, nil, sealed, []byte(purpose))
	if err != nil {
		return nil, ErrSealed
	}
	return secret, nil
}
