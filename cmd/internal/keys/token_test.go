package keys_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/cmd/internal/keys"
)

// A slow signer answers when the test lets it.
type slow struct {
	*ecdsa.PrivateKey
	held chan struct{}
}

func (s slow) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	<-s.held
	return s.PrivateKey.Sign(random, digest, opts)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestSlowToken checks that who signs with a token that hangs is told so in time,
// however many they are, and that all goes on when it answers again.
func TestSlowToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := make(chan struct{})
		k, err := keys.FakeToken(func() (crypto.Signer, error) { return slow{newKey(t), held}, nil }).Find(keys.Issuing)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if err := sign(t, k); !errors.Is(err, keys.ErrUnavailable) {
					t.Errorf("Sign = %v, want ErrUnavailable", err)
				}
			})
		}
		all.Wait()
		if took := time.Since(begin); took > 6*time.Second {
			t.Errorf("they were told after %v", took)
		}
		close(held)
		synctest.Wait()
		if err := sign(t, k); err != nil {
			t.Errorf("Sign afterwards = %v", err)
		}
	})
}

// TestTokenExchanged checks that another token with a key of the same name is refused.
func TestTokenExchanged(t *testing.T) {
	var broken error
	key := newKey(t)
	ring := keys.FakeToken(func() (crypto.Signer, error) { return failing{key, &broken}, broken })
	k, err := ring.Find(keys.Issuing)
	if err != nil {
		t.Fatal(err)
	}
	if err := sign(t, k); err != nil {
		t.Fatal(err)
	}
	broken = errors.New("gone")
	if err := sign(t, k); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("Sign = %v, want ErrUnavailable", err)
	}
	broken, key = nil, newKey(t)
	if err := sign(t, k); !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), "another key") {
		t.Errorf("Sign by another token = %v, want ErrUnavailable", err)
	}
}

// A failing signer fails while *err says so.
type failing struct {
	*ecdsa.PrivateKey
	err *error
}

func (s failing) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if *s.err != nil {
		return nil, *s.err
	}
	return s.PrivateKey.Sign(random, digest, opts)
}
