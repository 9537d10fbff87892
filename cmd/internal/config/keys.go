package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Keys say where the provider's private keys are, and what encrypts those in files.
type Keys struct {
	// PassphraseFile holds the passphrase that encrypts keys in files. "": that of
	// the environment, of a credential of the service manager, or none.
	PassphraseFile string `toml:"passphrase-file"`
	// Place gives the place of a purpose's key: "file:PATH", or "pkcs11:…"
	// (RFC 7512). "default" is that of all purposes that are not named.
	Place map[string]string `toml:"place"`
}

// PassphraseVariable is the variable of the environment that may have the passphrase.
const PassphraseVariable = "STEWARD_PASSPHRASE"

const (
	// passphraseCredential is its name among the credentials that a service manager
	// hands over in the directory CREDENTIALS_DIRECTORY (systemd.exec(5)).
	passphraseCredential = "steward-passphrase"
)

// Passphrase returns the passphrase: of the file, of the environment, whose variable
// is removed then, or of the service manager. Nil without an error is none.
func (k Keys) Passphrase() ([]byte, error) {
	if k.PassphraseFile != "" {
		return readPassphrase(k.PassphraseFile)
	}
	if text := os.Getenv(PassphraseVariable); text != "" {
		return []byte(text), os.Unsetenv(PassphraseVariable) // children and dumps need not have it
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil, nil
	}
	text, err := readPassphrase(filepath.Join(dir, passphraseCredential))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// readPassphrase reads a file without the newline at its end.
func readPassphrase(path string) ([]byte, error) {
	info, err := os.Stat(path) //nolint:gosec // G703: the operator names the file
	if err != nil {
		return nil, fmt.Errorf("%w: passphrase: %w", ErrConfig, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: passphrase: %s can be read by others (mode %o)", ErrConfig, path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path) //nolint:gosec // G703: as above
	if err != nil {
		return nil, fmt.Errorf("%w: passphrase: %w", ErrConfig, err)
	}
	if text = bytes.TrimRight(text, "\r\n"); len(text) == 0 {
		return nil, fmt.Errorf("%w: passphrase: %s is empty", ErrConfig, path)
	}
	return text, nil
}
