package keys_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"steward/cmd/internal/keys"
)

const (
	softHSM = "/usr/lib/softhsm/libsofthsm2.so"
	pin     = "pin-73551608"
)

// softToken makes a token of SoftHSM and returns its folder and its URI. SoftHSM
// reads its environment once for each process: one test makes one token.
func softToken(t *testing.T) (folder, uri string) {
	t.Helper()
	if _, err := os.Stat(softHSM); err != nil {
		t.Skip("softhsm2 is not installed")
	}
	if !keys.PKCS11 {
		t.Skip("built without PKCS#11")
	}
	dir := t.TempDir()
	folder = filepath.Join(dir, "tokens")
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", write("softhsm2.conf", "directories.tokendir = "+folder+"\n"))
	out, err := exec.CommandContext(t.Context(), "softhsm2-util", "--init-token", "--free", "--label", "steward",
		"--so-pin", "so-"+pin, "--pin", pin).CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v: %s", err, out)
	}
	return folder, "pkcs11:token=steward?module-path=" + softHSM + "&pin-source=file:" + write("pin", pin+"\n")
}

func sign(t *testing.T, k crypto.Signer) error {
	t.Helper()
	digest := sha256.Sum256([]byte("digest"))
	sig, err := k.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err == nil && !ecdsa.VerifyASN1(k.Public().(*ecdsa.PublicKey), digest[:], sig) {
		t.Error("the signature is wrong")
	}
	return err
}

// TestSoftHSM makes and finds keys in a token, takes it away while it is in use,
// and brings it back.
func TestSoftHSM(t *testing.T) {
	folder, uri := softToken(t)
	o := keys.Options{Dir: t.TempDir(), Places: map[keys.Name]string{"default": uri}}
	ring := open(t, o)
	if _, err := ring.Find(keys.Issuing); !errors.Is(err, keys.ErrNoKey) {
		t.Errorf("Find before the first Key = %v, want ErrNoKey", err)
	}
	made := map[keys.Name]crypto.Signer{}
	for _, name := range []keys.Name{keys.Root, keys.Issuing, "issuing-2"} {
		k, err := ring.Key(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := sign(t, k); err != nil {
			t.Fatal(err)
		}
		made[name] = k
	}
	if where := ring.Where("issuing-2"); !strings.HasSuffix(where, ";object=issuing-2") || strings.Contains(where, "pin") {
		t.Errorf("Where = %q", where)
	}
	if err := ring.Close(); err != nil {
		t.Fatal(err)
	}
	ring = open(t, o)
	for name, want := range made {
		k, err := ring.Find(name)
		if err != nil || !want.Public().(*ecdsa.PublicKey).Equal(k.Public()) {
			t.Fatalf("%s: %v, want the key made before", name, err)
		}
		made[name] = k
	}
	k := made[keys.Issuing]
	away := folder + ".away"
	if err := os.Rename(folder, away); err != nil {
		t.Fatal(err)
	}
	err := sign(t, k)
	if !errors.Is(err, keys.ErrUnavailable) || strings.Contains(err.Error(), pin) {
		t.Errorf("Sign without the token = %v, want ErrUnavailable without the PIN", err)
	}
	if err := os.Rename(away, folder); err != nil {
		t.Fatal(err)
	}
	if err := sign(t, k); err != nil {
		t.Errorf("Sign with the token back: %v", err)
	}
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if err := sign(t, k); err != nil {
				t.Errorf("one of many: %v", err)
			}
		})
	}
	all.Wait()
	if err := ring.Close(); err != nil {
		t.Fatal(err)
	}
}
