package keys_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"steward/cmd/internal/keys"
)

func sealer(t *testing.T, o keys.Options) *keys.Sealer {
	t.Helper()
	s, err := open(t, o).Sealer()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealer(t *testing.T) {
	o := keys.Options{Dir: t.TempDir()}
	s := sealer(t, o)
	secret := []byte("sixteen bytes ok")
	sealed := s.Seal(secret, "a/1")
	if bytes.Contains(sealed, secret) || bytes.Equal(sealed, s.Seal(secret, "a/1")) {
		t.Error("not sealed, or twice alike")
	}
	if got, err := sealer(t, o).Open(sealed, "a/1"); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%q, %v", got, err)
	}
	other := sealer(t, keys.Options{Dir: t.TempDir()})
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
	path := filepath.Join(o.Dir, "seal.key")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, o).Sealer(); err == nil {
		t.Error("a broken key was taken")
	}
	if _, err := keys.NewSealer([]byte("short")); !errors.Is(err, keys.ErrFile) {
		t.Errorf("a short key: %v", err)
	}
}
