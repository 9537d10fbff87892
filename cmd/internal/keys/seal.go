package keys

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// ErrSealed reports sealed bytes that this key does not open for this purpose.
var ErrSealed = errors.New("cannot be opened with this key")

const sealKeyLength = 32

// A Sealer encrypts secrets that are kept in the database, so that neither a copy
// of it nor its backup holds them in the clear. AES-256-GCM with random nonces.
type Sealer struct{ aead cipher.AEAD }

// NewSealer returns the sealer of a key of 32 bytes.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != sealKeyLength {
		return nil, fmt.Errorf("%w: a sealer's key has %d bytes", ErrFile, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &Sealer{aead}, err
}

// fileSeal holds the key of Sealer, as a key file does.
const fileSeal = "seal.key"

// Sealer returns the sealer of secrets in the database. Its key is made at the
// first call; one that earlier versions left in the clear is encrypted.
func (r *Ring) Sealer() (*Sealer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	path := filepath.Join(r.files.dir, fileSeal)
	text, err := ReadSecret(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		key := make([]byte, sealKeyLength)
		_, _ = rand.Read(key) // never fails
		if err := r.files.write(path, key); err != nil {
			return nil, err
		}
		return NewSealer(key)
	case err != nil:
		return nil, err
	}
	if key, err := hex.DecodeString(string(bytes.TrimSpace(text))); err == nil && len(key) == sealKeyLength {
		if err := r.files.write(path, key); err != nil {
			return nil, err
		}
		return NewSealer(key)
	}
	key, err := r.files.open(path)
	if err != nil {
		return nil, err
	}
	return NewSealer(key)
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
