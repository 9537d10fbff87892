package sqlite

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"steward/cmd/internal/keys"
	"steward/lwm2m/fleet"
)

// TestRawKeys: raw public keys stand beside pre-shared keys and never for one.
func TestRawKeys(t *testing.T) {
	db := withDevices(t, "A", "B")
	seal, err := keys.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	s := db.Credentials(seal)
	c, err := fleet.NewRawKey()
	if err != nil {
		t.Fatal(err)
	}
	c.Device, c.Use, c.CreatedAt = "A", fleet.UseServer, time.UnixMicro(1e15).UTC()
	if err := s.PutCredential(t.Context(), c, "test", "first"); err != nil {
		t.Fatal(err)
	}
	got, err := s.Credential(t.Context(), fleet.KindRawKey, c.Identity)
	if err != nil || got.Device != "A" || !bytes.Equal(got.Public, c.Public) || !bytes.Equal(got.Secret, c.Secret) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s.Credential(t.Context(), fleet.KindPSK, c.Identity); !errors.Is(err, fleet.ErrNoCredential) {
		t.Errorf("as a pre-shared key: %v", err)
	}
	var sealed []byte
	if err := db.QueryRow(t.Context(), "device_key.by_identity", c.Identity, "rawkey").
		Scan(new(string), new(string), new(string), new(string), new([]byte), &sealed, new(int64)); err != nil ||
		bytes.Contains(sealed, c.Secret) {
		t.Errorf("the private key stands in the database, %v", err)
	}
	other := c
	other.Device = "B"
	if err := s.PutCredential(t.Context(), other, "test", ""); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("another's key: %v", err)
	}

	// One key for a use, of either kind.
	psk := fleet.Credential{
		Device: "A", Use: fleet.UseServer, Kind: fleet.KindPSK, Identity: "a", Secret: make([]byte, 16),
	}
	if err := s.PutCredential(t.Context(), psk, "test", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Credential(t.Context(), fleet.KindRawKey, c.Identity); !errors.Is(err, fleet.ErrNoCredential) {
		t.Errorf("after a pre-shared key took its place: %v", err)
	}

	// A key that only its device has.
	other.Secret = nil
	if err := s.PutCredential(t.Context(), other, "test", ""); err != nil {
		t.Fatal(err)
	}
	if got, err := s.CredentialOf(t.Context(), "B", fleet.UseServer); err != nil || len(got.Secret) != 0 ||
		got.Kind != fleet.KindRawKey {
		t.Errorf("%+v, %v", got, err)
	}
}
