package sqlite

import (
	"errors"
	"sync"
	"testing"
	"time"

	"steward/lwm2m/fleet"
)

// unsealed seals nothing.
type unsealed struct{}

func (unsealed) Seal(secret []byte, _ string) []byte          { return secret }
func (unsealed) Open(sealed []byte, _ string) ([]byte, error) { return sealed, nil }

// TestHolder: a key is whose the file says, whatever was read before.
func TestHolder(t *testing.T) {
	db := open(t)
	keys := db.Credentials(unsealed{})
	d := fleet.Device{ID: "01A", Endpoint: "urn:dev:1", Ownership: fleet.Owned, CreatedAt: time.Now()}
	put := func(o fleet.Ownership) {
		d.Ownership = o
		if err := db.Devices().Put(t.Context(), d, "test", "test"); err != nil {
			t.Fatal(err)
		}
	}
	give := func(secret string) {
		err := keys.PutCredential(t.Context(), fleet.Credential{
			Device: d.ID, Use: fleet.UseServer, Kind: fleet.KindPSK, Identity: "meter", Secret: []byte(secret),
			CreatedAt: time.Now(),
		}, "test", "test")
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(secret string, o fleet.Ownership) {
		t.Helper()
		for range 2 { // read, and remembered
			k, owner, err := keys.Holder(t.Context(), fleet.KindPSK, "meter")
			if secret == "" {
				if !errors.Is(err, fleet.ErrNoCredential) {
					t.Errorf("Holder = %v", err)
				}
				continue
			}
			if err != nil || string(k.Secret) != secret || owner.ID != d.ID || owner.Ownership != o {
				t.Errorf("Holder = %+v, %+v, %v", k, owner, err)
			}
		}
	}
	put(fleet.Owned)
	want("", "")
	give("0123456789abcdef")
	want("0123456789abcdef", fleet.Owned)
	give("fedcba9876543210")
	want("fedcba9876543210", fleet.Owned)
	put(fleet.Left)
	want("fedcba9876543210", fleet.Left)
	if err := keys.RemoveCredential(t.Context(), d.ID, fleet.UseServer, "test", "test"); err != nil {
		t.Fatal(err)
	}
	want("", "")
}

// TestHolderRace: whoever has removed a key never finds it again.
func TestHolderRace(t *testing.T) {
	db := open(t)
	keys := db.Credentials(unsealed{})
	d := fleet.Device{ID: "01A", Endpoint: "urn:dev:1", Ownership: fleet.Owned, CreatedAt: time.Now()}
	if err := db.Devices().Put(t.Context(), d, "test", "test"); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if err := keys.PutCredential(t.Context(), fleet.Credential{
			Device: d.ID, Use: fleet.UseServer, Kind: fleet.KindPSK, Identity: "meter", Secret: []byte("0123456789abcdef"),
			CreatedAt: time.Now(),
		}, "test", "test"); err != nil {
			t.Fatal(err)
		}
		over := make(chan struct{})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for {
					select {
					case <-over:
						return
					default:
						_, _, _ = keys.Holder(t.Context(), fleet.KindPSK, "meter")
					}
				}
			})
		}
		if err := keys.RemoveCredential(t.Context(), d.ID, fleet.UseServer, "test", "test"); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if _, _, err := keys.Holder(t.Context(), fleet.KindPSK, "meter"); !errors.Is(err, fleet.ErrNoCredential) {
				t.Errorf("Holder of what was removed = %v", err)
			}
		}
		close(over)
		readers.Wait()
	}
}

// TestHoldersAreBounded: the memory holds so many and no more.
func TestHoldersAreBounded(t *testing.T) {
	var s holders
	for i := range maxHolders + 10 {
		s.keep(keyName{fleet.KindPSK, string(rune(i + 1000))}, holder{}, 0)
	}
	if len(s.of) != 10 {
		t.Errorf("%d are remembered", len(s.of))
	}
}
