package account

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var testNow = time.Unix(1, 0)

func TestHasher(t *testing.T) {
	h := newHasher(Costs{Memory: 16, Passes: 2, Lanes: 1})
	text, err := h.hash(t.Context(), "a password")
	if err != nil || !strings.HasPrefix(text, "$argon2id$v=19$m=16,t=2,p=1$") {
		t.Fatalf("hash = %q, %v", text, err)
	}
	dearer := newHasher(Costs{Memory: 32, Passes: 1, Lanes: 2}) // costs are those that stand in the hash
	for password, want := range map[string]bool{"a password": true, "A password": false, "": false} {
		if got, err := dearer.check(t.Context(), text, password); err != nil || got != want {
			t.Errorf("check(%q) = %v, %v; want %v", password, got, err, want)
		}
	}
	if got, err := h.check(t.Context(), "", "a password"); err != nil || got {
		t.Errorf("check without a hash = %v, %v", got, err)
	}
	salt, sum := strings.Repeat("A", 22), strings.Repeat("A", 43)
	// The reference implementation's format, with what it must not have.
	for _, bad := range []string{
		"x", "$argon2i$v=19$m=16,t=2,p=1$" + salt + "$" + sum, "$argon2id$v=16$m=16,t=2,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=99999999,t=2,p=1$" + salt + "$" + sum, "$argon2id$v=19$m=16,t=999,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=16,t=0,p=1$" + salt + "$" + sum, "$argon2id$v=19$m=16,t=2,p=0$" + salt + "$" + sum,
		"$argon2id$v=19$m=16,t=2,p=1$AA$" + sum, "$argon2id$v=19$m=16,t=2,p=1$" + salt + "$AA",
		"$argon2id$v=19$m=016,t=2,p=1$" + salt + "$" + sum, text + "$",
	} {
		if _, err := h.check(t.Context(), bad, "a password"); !errors.Is(err, errHash) {
			t.Errorf("check(%q) = %v, want errHash", bad, err)
		}
	}
}

// TestHasherIsBounded asks while as many wait as may.
func TestHasherIsBounded(t *testing.T) {
	h := newHasher(Costs{Memory: 8, Passes: 1, Lanes: 1})
	h.waiting.Store(maxWaiting)
	if _, err := h.hash(t.Context(), "x"); !errors.Is(err, ErrBusy) {
		t.Errorf("hash = %v, want ErrBusy", err)
	}
	if n := h.waiting.Load(); n != maxWaiting {
		t.Errorf("waiting = %d after a refusal, want %d", n, maxWaiting)
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=16,t=2,p=1$" + strings.Repeat("A", 22) + "$" + strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, text string) {
		c, salt, sum, err := parseHash(text)
		if err == nil && (c.Memory > maxMemory || c.Passes > maxPasses || len(salt) != saltBytes || len(sum) != hashBytes) {
			t.Errorf("parseHash(%q) = %+v, beyond bounds", text, c)
		}
	})
}

// TestLimiterIsBounded remembers no more than it may.
func TestLimiterIsBounded(t *testing.T) {
	var l limiter
	for i := range maxTries + 100 {
		_ = l.begin(string(rune(i))+"x", "", testNow)
	}
	if n := len(l.rows); n > maxTries {
		t.Errorf("remembers %d, want %d at most", n, maxTries)
	}
}
