package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// typeSealed is the PEM block of an encrypted file: the sealed PKCS#8 of a key.
const typeSealed = "STEWARD SEALED KEY"

// files is the store of keys in files, each encrypted with the vault's key for its
// own name: a file that takes another's place does not open.
type files struct {
	dir   string
	vault *Sealer
}

func (f *files) find(path string) (crypto.Signer, error) {
	der, err := f.open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoKey, path)
	}
	if err != nil {
		return nil, err
	}
	return parseKey(path, der)
}

// open returns what a file holds. One that is not encrypted, which somebody put
// there, is as good as another; it is encrypted first.
func (f *files) open(path string) ([]byte, error) {
	block, err := readBlock(path)
	if err != nil {
		return nil, err
	}
	switch block.Type {
	case typePlain:
		if _, err := parseKey(path, block.Bytes); err != nil {
			return nil, err
		}
		return block.Bytes, f.write(path, block.Bytes)
	case typeSealed:
		der, err := f.vault.Open(block.Bytes, purposeOf(path))
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrFile, path, err)
		}
		return der, nil
	}
	return nil, fmt.Errorf("%w: %s is %q", ErrFile, path, block.Type)
}

// create makes a key and its file. The file appears whole or not at all.
func (f *files) create(path string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, f.write(path, der)
}

func (f *files) write(path string, secret []byte) error {
	sealed := f.vault.Seal(secret, purposeOf(path))
	return WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: typeSealed, Bytes: sealed}))
}

// purposeOf binds a sealed file to its name.
func purposeOf(path string) string { return "steward key file " + filepath.Base(path) }

// migrate encrypts the keys of dir that are not. After a crash it goes on with
// those that are left.
func (f *files) migrate() error {
	paths, err := filepath.Glob(filepath.Join(f.dir, "*.pem"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		block, err := readBlock(path)
		if err != nil || block.Type != typePlain {
			continue // who needs it will be told what is wrong
		}
		if _, err := f.open(path); err != nil {
			return err
		}
	}
	return nil
}
