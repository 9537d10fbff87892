package coordinator_test

import (
	"encoding/pem"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// announces makes a key that follows that of u, and tells the providers.
func (u user) announces(t *testing.T, w *world) (next transfer.Signer) {
	t.Helper()
	key := esttest.Key(t)
	issued, err := w.alpha.ca.IssueSigner(t.Context(), est.KindTransferSigner, "User", key.Public())
	check(t, err)
	text := func(der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	file, err := coordinator.SignIdentity(coordinator.Identity{
		Name: "User", Kind: coordinator.ServiceUser, Signing: text(u.signer.Certificate), NextSigning: text(issued.DER),
	}, u.signer.Key)
	check(t, err)
	for _, p := range []*provider{w.alpha, w.beta} {
		_, err := p.coordinator().AddPartner(t.Context(), file, "", "operator:carol")
		check(t, err)
	}
	return transfer.Signer{Key: key, Certificate: issued.DER}
}

// drafts makes a draft of one device under a mandate.
func (w *world) drafts(t *testing.T, device int, mandate []byte) (coordinator.Transfer, error) {
	t.Helper()
	return w.alpha.coordinator().Draft(t.Context(), coordinator.Draft{
		Partner: w.alpha.partner(t, w.beta).ID, Devices: []fleetID{w.devices[device].id(w.alpha)}, Mandate: mandate,
		Actor: "operator:alice",
	})
}

// TestMandateOfAFormerKey replaces the key of a service user: the mandate that was
// verified before stays good, for another draft and for a revision at the partner; one
// that nobody has seen is refused whatever it says of its time, and of a user who is
// suspended none counts.
func TestMandateOfAFormerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		u := newUser(t, w)
		for _, p := range []*provider{w.alpha, w.beta} {
			_, err := p.c.AddPartner(t.Context(), u.file, "", "operator:carol")
			check(t, err)
		}
		w.alpha.start()
		defer w.alpha.stop()
		first := u.mandate(t, w, u.signer)
		submits := func(device int, mandate []byte) string {
			t.Helper()
			draft, err := w.drafts(t, device, mandate)
			check(t, err)
			_, err = w.alpha.coordinator().Submit(t.Context(), draft.ID, "operator:alice")
			check(t, err)
			until(t, 10*time.Minute, "at Beta", func() bool {
				got, err := w.alpha.store.Transfer(t.Context(), draft.ID)
				return err == nil && got.State == transfer.BatchInfoAccepted
			})
			return draft.ID
		}
		id := submits(0, first)
		next := u.announces(t, w)
		submits(1, u.mandate(t, w, next)) // both have seen it: the key before is replaced
		time.Sleep(time.Minute)           // another content
		if _, err := w.drafts(t, 2, u.mandate(t, w, u.signer)); err == nil {
			t.Error("a mandate by the key before, which nobody has seen, was taken")
		} else if !errors.Is(err, coordinator.ErrInvalid) || !errors.Is(err, transfer.ErrSigner) {
			t.Errorf("a mandate by the key before: %v", err)
		}

		_, err := w.alpha.coordinator().Revise(t.Context(), id, "operator:alice", "updated")
		check(t, err)
		until(t, 10*time.Minute, "revised at Beta", func() bool {
			got, err := w.beta.store.Transfer(t.Context(), id)
			return err == nil && got.Revised
		})
		again, err := w.drafts(t, 2, first)
		check(t, err)
		_, err = w.alpha.coordinator().Withdraw(t.Context(), again.ID, "operator:alice", "")
		check(t, err)

		partners, err := w.alpha.store.ListPartners(t.Context())
		check(t, err)
		for _, p := range partners {
			if p.Kind == coordinator.ServiceUser {
				_, err := w.alpha.c.SetPartnerState(t.Context(), p.ID, coordinator.Suspended, "operator:carol", "stolen")
				check(t, err)
			}
		}
		if _, err := w.drafts(t, 2, first); !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("the mandate of a user who is suspended: %v", err)
		}
	})
}

// TestOwnMandateOfAFormerKey replaces the key of the outgoing provider, which had signed a
// mandate itself: what it tells anew of that transfer is signed by the next key.
func TestOwnMandateOfAFormerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		next := w.alpha.nextSigner(t)
		w.alpha.change = func(o *coordinator.Options) { o.NextSigning = next.Certificate }
		w.alpha.open(t)
		w.beta.pin(t, w.alpha)
		draft, err := w.drafts(t, 0, nil)
		check(t, err)
		w.alpha.start()
		_, err = w.alpha.coordinator().Submit(t.Context(), draft.ID, "operator:alice")
		check(t, err)
		until(t, 10*time.Minute, "at Beta", func() bool {
			got, err := w.alpha.store.Transfer(t.Context(), draft.ID)
			return err == nil && got.State == transfer.BatchInfoAccepted
		})
		w.alpha.stop()
		w.alpha.signer, w.alpha.change = next, nil
		w.alpha.open(t)
		w.alpha.start()
		defer w.alpha.stop()
		_, err = w.alpha.coordinator().Revise(t.Context(), draft.ID, "operator:alice", "updated")
		check(t, err)
		until(t, 10*time.Minute, "revised at Beta", func() bool {
			got, err := w.beta.store.Transfer(t.Context(), draft.ID)
			return err == nil && got.Revised
		})
	})
}
