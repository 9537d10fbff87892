package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"steward/cmd/internal/keys"
	"steward/lwm2m"
	"steward/lwm2m/bootstrap"
	"steward/lwm2m/bootstrap/boottest"
	"steward/lwm2m/fleet"
)

func TestBootstrapStore(t *testing.T) {
	boottest.TestStore(t, func(t *testing.T, devices ...fleet.ID) bootstrap.Store {
		t.Helper()
		return withDevices(t, devices...).Bootstrap()
	})
}

func TestProfiles(t *testing.T) {
	s := open(t).Bootstrap()
	all := bootstrap.Profile{Name: "usual", Mode: bootstrap.ModePSK, Short: 1, Lifetime: time.Hour}
	meters := bootstrap.Profile{
		Name: "meters", Tag: "meter", Mode: bootstrap.ModeEST, Short: 1, Lifetime: 24 * time.Hour, Streams: true,
		Objects: []bootstrap.Instance{{Path: lwm2m.NewPath(2, 0), Entries: []lwm2m.Entry{
			{Path: lwm2m.NewPath(2, 0, 0), Value: lwm2m.Integer(3)},
			{Path: lwm2m.NewPath(2, 0, 2, 1), Value: lwm2m.Integer(1)},
		}}},
	}
	same := func(p, q bootstrap.Profile) bool { return reflect.DeepEqual(p, q) }
	for _, p := range []bootstrap.Profile{all, meters, all} {
		if err := s.PutProfile(t.Context(), p, "test"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Profiles(t.Context())
	if err != nil || len(got) != 2 || !same(got[0], meters) || !same(got[1], all) {
		t.Fatalf("%+v, %v", got, err)
	}
	if p, ok := bootstrap.For(got, []string{"b", "meter"}); !ok || !same(p, meters) {
		t.Errorf("of a meter: %+v", p)
	}
	if p, ok := bootstrap.For(got, nil); !ok || !same(p, all) {
		t.Errorf("of another device: %+v", p)
	}
	if _, ok := bootstrap.For(got[:1], nil); ok {
		t.Error("a profile for nobody")
	}
	clash := meters
	clash.Name = "second"
	if err := s.PutProfile(t.Context(), clash, "test"); !errors.Is(err, bootstrap.ErrProfileTag) {
		t.Errorf("same tag: %v", err)
	}
	for i := range bootstrap.MaxProfiles - 2 {
		p := all
		p.Name, p.Tag = fmt.Sprintf("p%d", i), fmt.Sprintf("t%d", i)
		if err := s.PutProfile(t.Context(), p, "test"); err != nil {
			t.Fatal(err)
		}
	}
	beyond := all
	beyond.Name, beyond.Tag = "beyond", "beyond"
	if err := s.PutProfile(t.Context(), beyond, "test"); !errors.Is(err, bootstrap.ErrProfile) {
		t.Errorf("one too many: %v", err)
	}
	for range 2 {
		if err := s.RemoveProfile(t.Context(), "meters", "test"); err != nil {
			t.Error(err)
		}
	}
}

func TestCredentials(t *testing.T) {
	db := withDevices(t, "A", "B")
	seal, err := keys.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	s := db.Credentials(seal)
	c := fleet.Credential{
		Device: "A", Use: fleet.UseServer, Kind: fleet.KindPSK, Identity: "meter-1", Secret: []byte("0123456789abcdef"),
		CreatedAt: time.UnixMicro(1e15).UTC(),
	}
	if err := s.PutCredential(t.Context(), c, "test", "first"); err != nil {
		t.Fatal(err)
	}
	for name, get := range map[string]func() (fleet.Credential, error){
		"by identity": func() (fleet.Credential, error) { return s.Credential(t.Context(), fleet.KindPSK, "meter-1") },
		"of device":   func() (fleet.Credential, error) { return s.CredentialOf(t.Context(), "A", fleet.UseServer) },
	} {
		got, err := get()
		if err != nil || got.Device != "A" || !bytes.Equal(got.Secret, c.Secret) || got.CreatedAt != c.CreatedAt {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	var stored []byte
	if err := db.QueryRow(t.Context(), "device_key.by_identity", "meter-1", "psk").
		Scan(new(string), new(string), new(string), new(string), new([]byte), &stored, new(int64)); err != nil ||
		bytes.Contains(stored, c.Secret) {
		t.Errorf("the key stands in the database, %v", err)
	}
	for name, bad := range map[string]struct {
		change func(*fleet.Credential)
		want   error
	}{
		"another's identity": {func(c *fleet.Credential) { c.Device = "B" }, fleet.ErrConflict},
		"of another use":     {func(c *fleet.Credential) { c.Use = fleet.UseBootstrap }, fleet.ErrConflict},
		"unknown device":     {func(c *fleet.Credential) { c.Device, c.Identity = "C", "c" }, fleet.ErrUnknown},
		"short key":          {func(c *fleet.Credential) { c.Secret = c.Secret[:15] }, fleet.ErrCredential},
		"no identity":        {func(c *fleet.Credential) { c.Identity = "" }, fleet.ErrCredential},
		"no use":             {func(c *fleet.Credential) { c.Use = "" }, fleet.ErrCredential},
	} {
		x := c
		bad.change(&x)
		if err := s.PutCredential(t.Context(), x, "test", ""); !errors.Is(err, bad.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.Identity = "meter-1b"
	if err := s.PutCredential(t.Context(), c, "test", "rotated"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Credential(t.Context(), fleet.KindPSK, "meter-1"); !errors.Is(err, fleet.ErrNoCredential) {
		t.Errorf("the old identity: %v", err)
	}
	for range 2 {
		if err := s.RemoveCredential(t.Context(), "A", fleet.UseServer, "test", "gone"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.CredentialOf(t.Context(), "A", fleet.UseServer); !errors.Is(err, fleet.ErrNoCredential) {
		t.Errorf("after its removal: %v", err)
	}
}
