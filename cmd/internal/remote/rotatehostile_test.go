package remote_test

import (
	"errors"
	"testing"

	"steward/transfer"
	"steward/transfer/coordinator"
)

// TestSlowCallOfAFormerPartner: who has begun to send while a key counted, and ends after
// another took its place, or the partner was suspended, has sent nothing.
func TestSlowCallOfAFormerPartner(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, b *bulk, p coordinator.Partner)
		want   error
	}{
		{"nothing", func(*testing.T, *bulk, coordinator.Partner) {}, nil},
		{"suspended", func(t *testing.T, b *bulk, p coordinator.Partner) {
			t.Helper()
			_, err := b.c.SetPartnerState(t.Context(), p.ID, coordinator.Suspended, "operator:carol", "why")
			check(t, err)
		}, coordinator.ErrForbidden},
		{"another TLS key", func(t *testing.T, b *bulk, p coordinator.Partner) {
			t.Helper()
			next := certificate(t)
			b.said.NextTLS = pemOf(next.Leaf.Raw)
			b.tells(t)
			check(t, b.c.Seen(t.Context(), p.ID, coordinator.SPKI(next.Leaf)))
		}, coordinator.ErrForbidden},
		{"another signing key", func(t *testing.T, b *bulk, _ coordinator.Partner) {
			t.Helper()
			old, next := b.signer, signer(t)
			b.said.NextSigning = pemOf(next.Certificate)
			b.tells(t)
			b.signer = next
			_, err := b.alpha.Post(t.Context(), b.beta, b.submission(t, []byte("1"), 3, false))
			check(t, err)
			b.signer = old
		}, coordinator.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBulk(t)
			begun := b.tells(t)
			tt.change(t, b, begun)
			_, err := b.c.Receive(t.Context(), begun, b.submission(t, []byte("2"), 3, false))
			if !errors.Is(err, tt.want) {
				t.Errorf("Receive = %v, want %v", err, tt.want)
			}
		})
	}
}

// TestAnnouncedKeyOfAnother: nobody announces a key that another signs with, whose papers
// would pass for his.
func TestAnnouncedKeyOfAnother(t *testing.T) {
	b := newBulk(t)
	user, thief := signer(t), signer(t)
	tells := func(name string, by, next transfer.Signer) error {
		said := coordinator.Identity{Name: name, Kind: coordinator.ServiceUser, Signing: pemOf(by.Certificate)}
		if next.Key != nil {
			said.NextSigning = pemOf(next.Certificate)
		}
		file, err := coordinator.SignIdentity(said, by.Key)
		check(t, err)
		_, err = b.c.AddPartner(t.Context(), file, "", "operator:carol")
		return err
	}
	check(t, tells("User", user, transfer.Signer{}))
	if err := tells("Thief", thief, user); !errors.Is(err, coordinator.ErrPinned) {
		t.Errorf("a new partner announces the key of another: %v", err)
	}
	check(t, tells("Thief", thief, transfer.Signer{}))
	if err := tells("Thief", thief, user); !errors.Is(err, coordinator.ErrPinned) {
		t.Errorf("a partner announces the key of another: %v", err)
	}
	if err := tells("Thief", thief, b.signer); !errors.Is(err, coordinator.ErrPinned) {
		t.Errorf("a service user announces the key of a provider: %v", err)
	}
	next := signer(t)
	check(t, tells("User", user, next))
	if err := tells("Thief", thief, next); !errors.Is(err, coordinator.ErrPinned) {
		t.Errorf("a partner announces what another has announced: %v", err)
	}
	check(t, tells("Thief", thief, signer(t)))
}
