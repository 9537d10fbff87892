package owner_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"steward/cmd/internal/owner"
	"steward/transfer"
)

// TestRecoverCounts signs commands of one second, of one before, and after the process
// has begun anew: each counts on devices that took those before.
func TestRecoverCounts(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	o := owner.Options{Dir: t.TempDir(), Passphrase: []byte("correct horse battery staple")}
	by, err := owner.Create(o, "User", now)
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(transfer.SecondsOf(now)) - 1
	for i, at := range []time.Time{now, now, now.Add(-time.Hour), now.Add(time.Minute), now.Add(time.Minute)} {
		if i == 2 {
			if by, err = owner.Open(o); err != nil {
				t.Fatal(err)
			}
		}
		raw, err := by.Recover([][]byte{by.Certificate()}, transfer.TransferSigner, at)
		if err != nil {
			t.Fatal(err)
		}
		command, err := transfer.ParseAnchors(raw)
		if err != nil {
			t.Fatal(err)
		}
		if c := command.Body.Counter; c <= last || c < uint64(transfer.SecondsOf(at)) {
			t.Errorf("command %d: counter %d after %d", i, c, last)
		}
		last = command.Body.Counter
	}
	for _, spoilt := range []string{"x", "18446744073709551615"} {
		if err := os.WriteFile(filepath.Join(o.Dir, "recovery.counter"), []byte(spoilt), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := by.Recover(nil, transfer.TransferSigner, now); !errors.Is(err, owner.ErrOwner) {
			t.Errorf("Recover after %q = %v, want ErrOwner", spoilt, err)
		}
	}
}
