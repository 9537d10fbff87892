package keys_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"steward/cmd/internal/keys"
	"steward/cmd/internal/keys/keystest"
)

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
	folder, uri := keystest.SoftToken(t)
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
	if !errors.Is(err, keys.ErrUnavailable) || strings.Contains(err.Error(), keystest.PIN) {
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
