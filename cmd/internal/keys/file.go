package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"steward/cmd/internal/durable"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
	others   = 0o077 // permission bits that nobody but the owner may have
)

const typePlain = "PRIVATE KEY" // PKCS#8 (RFC 7468 §10)

// Write writes a private key to a PKCS#8 PEM file, as WriteFile does. It is not
// encrypted: for keys that are not a provider's.
func Write(path string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: typePlain, Bytes: der}))
}

// WriteFile writes a file that only its owner can read. After a crash there is
// the old file or the new one, never a part.
func WriteFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return durable.SyncDirectory(filepath.Dir(path))
}

// Load reads the P-256 key of a PKCS#8 PEM file that is not encrypted. It returns
// ErrFile for one that others can read.
func Load(path string) (crypto.Signer, error) {
	key, err := LoadAny(path)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(*ecdsa.PrivateKey)
	if !ok || signer.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: %s is not a P-256 key", ErrFile, path)
	}
	return signer, nil
}

// LoadAny reads a private key that signs, of any kind, as Load does.
func LoadAny(path string) (crypto.Signer, error) {
	block, err := readBlock(path)
	if err != nil {
		return nil, err
	}
	if block.Type != typePlain {
		return nil, fmt.Errorf("%w: %s is not one PKCS#8 PEM block", ErrFile, path)
	}
	return parseKey(path, block.Bytes)
}

func parseKey(path string, der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFile, path, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: %s is not a key that signs", ErrFile, path)
	}
	return signer, nil
}

// readBlock reads a file of one PEM block.
func readBlock(path string) (*pem.Block, error) {
	text, err := ReadSecret(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: %s is not one PEM block", ErrFile, path)
	}
	return block, nil
}

// maxSecret bounds a file that ReadSecret reads, in bytes.
const maxSecret = 1 << 20

// ReadSecret reads a file. It returns ErrFile for one that others can read.
func ReadSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&others != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o, want %04o", ErrFile, path, info.Mode().Perm(), fileMode)
	}
	if info.Size() > maxSecret {
		return nil, fmt.Errorf("%w: %s has %d bytes", ErrFile, path, info.Size())
	}
	return os.ReadFile(path)
}
