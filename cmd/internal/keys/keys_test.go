package keys_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"steward/cmd/internal/keys"
)

func TestKeyIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	ring, err := keys.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	first, err := ring.Key(keys.Root)
	if err != nil {
		t.Fatal(err)
	}
	again, err := keys.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := again.Key(keys.Root)
	if err != nil || !first.(*ecdsa.PrivateKey).Equal(second.(*ecdsa.PrivateKey)) {
		t.Errorf("the key changed with the process: %v", err)
	}
	if other, err := ring.Key(keys.Issuing); err != nil || first.(*ecdsa.PrivateKey).Equal(other.(*ecdsa.PrivateKey)) {
		t.Errorf("two purposes share a key: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	ring, err := keys.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []keys.Name{"", "../root", "a/b", "Root", "x.pem"} {
		if _, err := ring.Key(name); !errors.Is(err, keys.ErrName) {
			t.Errorf("Key(%q) = %v, want ErrName", name, err)
		}
	}
	for _, tt := range []struct {
		name, text string
		mode       os.FileMode
	}{{"open", "", 0o644}, {"notpem", "x", 0o600}, {"other", "-----BEGIN X-----\n-----END X-----\n", 0o600}} {
		path := filepath.Join(dir, tt.name+".pem")
		if err := os.WriteFile(path, []byte(tt.text), tt.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ring.Key(keys.Name(tt.name)); !errors.Is(err, keys.ErrFile) {
			t.Errorf("Key(%q) = %v, want ErrFile", tt.name, err)
		}
	}
}

// TestLoadAny reads keys that are not a provider's.
func TestLoadAny(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Write(path, key); err != nil {
		t.Fatal(err)
	}
	if got, err := keys.LoadAny(path); err != nil || !key.Equal(got) {
		t.Errorf("LoadAny = %v, want the key written", err)
	}
	if _, err := keys.Load(path); !errors.Is(err, keys.ErrFile) {
		t.Errorf("Load = %v, want %v", err, keys.ErrFile)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.LoadAny(path); !errors.Is(err, keys.ErrFile) {
		t.Errorf("LoadAny of what others can read = %v, want %v", err, keys.ErrFile)
	}
	if _, err := keys.ReadSecret(path); !errors.Is(err, keys.ErrFile) {
		t.Errorf("ReadSecret of what others can read = %v, want %v", err, keys.ErrFile)
	}
}
