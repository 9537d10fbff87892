package keys_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"steward/cmd/internal/keys"
)

func TestSealer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seal.key")
	s, err := keys.OpenSealer(path)
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("sixteen bytes ok")
	sealed := s.Seal(secret, "a/1")
	if bytes.Contains(sealed, secret) || bytes.Equal(sealed, s.Seal(secret, "a/1")) {
		t.Error("not sealed, or twice alike")
	}
	again, err := keys.OpenSealer(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open(sealed, "a/1"); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%q, %v", got, err)
	}
	other, err := keys.OpenSealer(filepath.Join(t.TempDir(), "other.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return s.Open(sealed, "a/2") },
		"another key":     func() ([]byte, error) { return other.Open(sealed, "a/1") },
		"changed":         func() ([]byte, error) { return s.Open(append(sealed[:len(sealed)-1:len(sealed)-1], 0), "a/1") },
		"short":           func() ([]byte, error) { return s.Open(nil, "a/1") },
	} {
		if _, err := open(); !errors.Is(err, keys.ErrSealed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.OpenSealer(path); err == nil {
		t.Error("a broken key was taken")
	}
}
