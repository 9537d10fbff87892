package account

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// ErrTokenFile reports a token file that others can read or that holds no token.
var ErrTokenFile = errors.New("unusable token file")

// TokenFile returns the token in the file at path, which only its owner may
// read, or makes a new one there.
func TokenFile(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newTokenFile(path)
	}
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%w: %s is open to others (mode %v)", ErrTokenFile, path, info.Mode().Perm())
	}
	token := strings.TrimSpace(string(text))
	if len(token) < secretBytes || len(token) > 2*secretBytes {
		return "", fmt.Errorf("%w: %s holds no token", ErrTokenFile, path)
	}
	return token, nil
}

// newTokenFile writes the token beside its place first, so that no crash leaves
// half of one.
func newTokenFile(path string) (string, error) {
	secret, _ := newSecret(tokenPrefix)
	draft := path + ".new"
	if err := os.WriteFile(draft, []byte(secret+"\n"), 0o600); err != nil {
		return "", err
	}
	return secret, os.Rename(draft, path)
}
