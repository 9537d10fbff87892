// Package keys keeps a provider's private keys: software keys in PKCS#8 PEM
// files that only the owner of the data directory can read. Tokens and encrypted
// files are not built yet (see CONFORMANCE.md).
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
	"os"
	"path/filepath"
	"regexp"
	"sync"
)

// Errors of a Ring.
var (
	// ErrName reports a name that is not a plain file name.
	ErrName = errors.New("unusable key name")
	// ErrFile reports a key file that cannot be used: not PEM, another type of
	// key, or readable by others.
	ErrFile = errors.New("unusable key file")
)

// A Name says what a key is for. Each purpose has a key of its own, so that the
// theft of one is not the theft of another.
type Name string

// The keys of a provider.
const (
	Root     Name = "root"     // signs the issuing CA
	Issuing  Name = "issuing"  // signs certificates and CRLs
	Server   Name = "server"   // coaps endpoint
	Web      Name = "web"      // dashboard off loopback
	Peer     Name = "peer"     // provider-to-provider API, both sides
	Transfer Name = "transfer" // offers, messages, device information
	SUIT     Name = "suit"     // manifests
	Mandate  Name = "mandate"  // of a service user
	Report   Name = "report"   // reports of campaigns
)

// A Ring is a directory of keys. Safe for concurrent use.
type Ring struct {
	dir string
	mu  sync.Mutex
}

const (
	dirMode  = 0o700
	fileMode = 0o600
	others   = 0o077 // permission bits that nobody but the owner may have
)

var legalName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// Open returns the ring in dir, which is made if need be.
func Open(dir string) (*Ring, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, err
	}
	return &Ring{dir: dir}, nil
}

// Key returns the P-256 key called name. It is made at the first call.
func (r *Ring) Key(name Name) (crypto.Signer, error) {
	if !legalName.MatchString(string(name)) {
		return nil, fmt.Errorf("%w: %.40q", ErrName, name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	path := filepath.Join(r.dir, string(name)+".pem")
	key, err := Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}
	return key, err
}

// create makes a key and its file. The file appears whole or not at all.
func create(path string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return key, Write(path, key)
}

// Write writes a private key to a PKCS#8 PEM file, as WriteFile does.
func Write(path string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
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
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Load reads the P-256 key of a PKCS#8 PEM file. It returns ErrFile for one that
// others can read.
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
	text, err := ReadSecret(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return nil, fmt.Errorf("%w: %s is not one PKCS#8 PEM block", ErrFile, path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFile, path, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: %s is not a key that signs", ErrFile, path)
	}
	return signer, nil
}

// ReadSecret reads a file. It returns ErrFile for one that others can read.
func ReadSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&others != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o, want %04o", ErrFile, path, info.Mode().Perm(), fileMode)
	}
	return os.ReadFile(path)
}
