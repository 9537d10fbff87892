package keys_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steward/cmd/internal/keys"
)

func open(t *testing.T, o keys.Options) *keys.Ring {
	t.Helper()
	ring, err := keys.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func key(t *testing.T, r *keys.Ring, name keys.Name) *ecdsa.PrivateKey {
	t.Helper()
	k, err := r.Key(name)
	if err != nil {
		t.Fatal(err)
	}
	return k.(*ecdsa.PrivateKey)
}

func TestKeyIsMadeOnce(t *testing.T) {
	o := keys.Options{Dir: filepath.Join(t.TempDir(), "keys")}
	ring := open(t, o)
	if _, err := ring.Find(keys.Root); !errors.Is(err, keys.ErrNoKey) {
		t.Errorf("Find before the first Key = %v, want ErrNoKey", err)
	}
	first := key(t, ring, keys.Root)
	if !first.Equal(key(t, open(t, o), keys.Root)) {
		t.Error("the key changed with the process")
	}
	if first.Equal(key(t, ring, keys.Issuing)) || first.Equal(key(t, ring, "root-2")) {
		t.Error("two purposes or generations share a key")
	}
	if want := "file " + filepath.Join(o.Dir, "root-2.pem"); ring.Where("root-2") != want {
		t.Errorf("Where = %q, want %q", ring.Where("root-2"), want)
	}
}

// secrets are the forms in which a key could stand in a file.
func secrets(t *testing.T, k crypto.Signer) [][]byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	out := [][]byte{der}
	if k, ok := k.(*ecdsa.PrivateKey); ok {
		raw, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, raw)
	}
	return out
}

// TestNothingInTheClear reads all files of a ring, with and without a passphrase.
func TestNothingInTheClear(t *testing.T) {
	for name, passphrase := range map[string][]byte{"machine": nil, "passphrase": []byte("correct horse battery")} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			o := keys.Options{
				Dir: filepath.Join(dir, "keys"), Machine: filepath.Join(dir, "machine", "key"), Passphrase: passphrase,
				Places: map[keys.Name]string{keys.Report: "file:" + filepath.Join(dir, "elsewhere.pem")},
			}
			ring := open(t, o)
			var hidden [][]byte
			for _, name := range []keys.Name{keys.Root, keys.Issuing, keys.Report} {
				hidden = append(hidden, secrets(t, key(t, ring, name))...)
			}
			files := 0
			err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				files++
				text, err := keys.ReadSecret(path)
				for _, s := range append(hidden, passphrase) {
					if len(s) > 0 && bytes.Contains(text, s) {
						t.Errorf("%s holds a secret in the clear", path)
					}
				}
				return err
			})
			if want := 4 + map[bool]int{true: 1}[passphrase == nil]; err != nil || files != want {
				t.Errorf("%d files, %v, want %d", files, err, want)
			}
		})
	}
}

// TestMigration opens what earlier versions left: keys and the sealer's key in the clear.
func TestMigration(t *testing.T) {
	dir := t.TempDir()
	other := open(t, keys.Options{Dir: filepath.Join(t.TempDir(), "other")})
	want := key(t, other, keys.Root)
	if err := keys.Write(filepath.Join(dir, "root.pem"), want); err != nil {
		t.Fatal(err)
	}
	hexKey := strings.Repeat("0a", 32)
	if err := keys.WriteFile(filepath.Join(dir, "seal.key"), []byte(hexKey)); err != nil {
		t.Fatal(err)
	}
	before, err := keys.NewSealer(bytes.Repeat([]byte{10}, 32))
	if err != nil {
		t.Fatal(err)
	}
	sealed := before.Seal([]byte("secret"), "row")
	for range 2 { // the second time they are encrypted already
		ring := open(t, keys.Options{Dir: dir})
		if !want.Equal(key(t, ring, keys.Root)) {
			t.Error("another key after the migration")
		}
		s, err := ring.Sealer()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Open(sealed, "row"); err != nil || string(got) != "secret" {
			t.Errorf("the sealer's key changed: %v", err)
		}
		for _, name := range []string{"root.pem", "seal.key"} {
			if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Contains(text, []byte("SEALED")) {
				t.Errorf("%s is not encrypted: %v", name, err)
			}
		}
	}
}

func TestRelock(t *testing.T) {
	dir := t.TempDir()
	machine := filepath.Join(dir, "machine.key")
	none := keys.Options{Dir: dir}
	want := key(t, open(t, none), keys.Root)
	first, second := []byte("the first passphrase"), []byte("the second passphrase")
	if err := keys.Relock(none, first); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(machine); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the machine's key is still there: %v", err)
	}
	if err := keys.Relock(keys.Options{Dir: dir, Passphrase: first}, second); err != nil {
		t.Fatal(err)
	}
	if !want.Equal(key(t, open(t, keys.Options{Dir: dir, Passphrase: second}), keys.Root)) {
		t.Error("another key after a new passphrase")
	}
	for name, o := range map[string]keys.Options{
		"none": none, "former": {Dir: dir, Passphrase: first}, "empty": {Dir: dir, Passphrase: []byte{}},
	} {
		if _, err := keys.Open(o); !errors.Is(err, keys.ErrLocked) {
			t.Errorf("passphrase %s: %v, want ErrLocked", name, err)
		}
	}
	if err := keys.Relock(keys.Options{Dir: dir, Passphrase: second}, []byte("short")); !errors.Is(err, keys.ErrLocked) {
		t.Errorf("a short passphrase: %v, want ErrLocked", err)
	}
}

// TestLostMachineKey checks that nobody makes another key in place of a lost one.
func TestLostMachineKey(t *testing.T) {
	o := keys.Options{Dir: t.TempDir()}
	key(t, open(t, o), keys.Root)
	if err := os.Remove(filepath.Join(o.Dir, "machine.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Open(o); !errors.Is(err, keys.ErrLocked) {
		t.Errorf("Open = %v, want ErrLocked", err)
	}
	o.Passphrase = []byte("a passphrase for the machine's")
	if _, err := keys.Open(o); !errors.Is(err, keys.ErrLocked) {
		t.Errorf("Open with a passphrase = %v, want ErrLocked", err)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	ring := open(t, keys.Options{Dir: dir})
	for _, name := range []keys.Name{"", "../root", "a/b", "Root", "x.pem"} {
		if _, err := ring.Key(name); !errors.Is(err, keys.ErrName) {
			t.Errorf("Key(%q) = %v, want ErrName", name, err)
		}
	}
	key(t, ring, keys.Root)
	swapped, err := os.ReadFile(filepath.Join(dir, "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text string
		mode       os.FileMode
	}{
		{"open", "", 0o644},
		{"notpem", "x", 0o600},
		{"other", "-----BEGIN X-----\n-----END X-----\n", 0o600},
		{"empty", "-----BEGIN STEWARD SEALED KEY-----\n-----END STEWARD SEALED KEY-----\n", 0o600},
		{"plain", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600},
		{"issuing", string(swapped), 0o600}, // the root's key in another's place
	} {
		path := filepath.Join(dir, tt.name+".pem")
		if err := os.WriteFile(path, []byte(tt.text), tt.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ring.Key(keys.Name(tt.name)); !errors.Is(err, keys.ErrFile) {
			t.Errorf("Key(%q) = %v, want ErrFile", tt.name, err)
		}
	}
}

// TestVaultRefusals changes the file that all depends on.
func TestVaultRefusals(t *testing.T) {
	o := keys.Options{Dir: t.TempDir(), Passphrase: []byte("correct horse battery")}
	open(t, o)
	path := filepath.Join(o.Dir, "vault")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"memory":      {"Memory: 65536", "Memory: 99999999"},
		"time":        {"Time: 3", "Time: 0"},
		"parallelism": {"Parallelism: 4", "Parallelism: x"},
		"salt":        {"Salt: ", "Salt: 0"},
		"lock":        {"argon2id", "rot13"},
		"type":        {"STEWARD VAULT", "STEWARD VALUT"},
		"fewer":       {"Time: 3", "Time: 2"},
		"cut":         {"-----END", "----END"},
	} {
		bad := strings.ReplaceAll(string(good), change[0], change[1])
		if bad == string(good) {
			t.Fatalf("%s: nothing to change in %s", name, good)
		}
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Open(o); !errors.Is(err, keys.ErrFile) && !errors.Is(err, keys.ErrLocked) {
			t.Errorf("%s: %v, want ErrFile or ErrLocked", name, err)
		}
	}
}

func TestPlaceRefusals(t *testing.T) {
	for _, text := range []string{
		"", "file:", "file:relative.pem", "ftp:/x", "pkcs11:", "pkcs11:token=a;token=b", "pkcs11:object=x",
		"pkcs11:token=a;id=01", "pkcs11:token=a;pin-value=1234", "pkcs11:token=a?pin-value=1234", "pkcs11:token=a?pin=1",
		"pkcs11:token",
	} {
		_, err := keys.Open(keys.Options{Dir: t.TempDir(), Places: map[keys.Name]string{keys.Root: text}})
		if !errors.Is(err, keys.ErrPlace) || strings.Contains(err.Error(), "1234") {
			t.Errorf("%q: %v, want ErrPlace without the PIN", text, err)
		}
	}
	_, err := keys.Open(keys.Options{Dir: t.TempDir(), Places: map[keys.Name]string{"rot": "file:/x"}})
	if !errors.Is(err, keys.ErrPlace) {
		t.Errorf("unknown purpose: %v, want ErrPlace", err)
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
