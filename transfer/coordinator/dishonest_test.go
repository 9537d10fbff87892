package coordinator_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// A liar is a partner that says of every device that it has enrolled.
type liar struct{ coordinator.Peers }

func (l liar) Status(ctx context.Context, to coordinator.Partner, id string) (coordinator.Status, error) {
	s, err := l.Peers.Status(ctx, to, id)
	for i := range s.Devices {
		s.Devices[i].State = string(transfer.RowEnrolled)
	}
	return s, err
}

// A sleeper is access to devices that fall asleep just before they are told to
// commit.
type sleeper struct {
	coordinator.Devices

	commit lwm2m.Path
	slept  *atomic.Int32 // 0: awake, 1: asleep, 2: awake again
}

func (s sleeper) Read(ctx context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	if s.slept.Load() == 1 {
		return nil, coordinator.ErrUnreachable
	}
	return s.Devices.Read(ctx, id, p)
}

func (s sleeper) Execute(ctx context.Context, id fleet.ID, p lwm2m.Path, args string) error {
	if s.slept.Load() == 1 || p == s.commit && s.slept.CompareAndSwap(0, 1) {
		return coordinator.ErrUnreachable
	}
	return s.Devices.Execute(ctx, id, p, args)
}

// TestPartnersWordIsNoEvidence: Commit does not reach the device, which sleeps in
// READY. A dishonest partner says that it has enrolled there. The former provider
// must not give the device up for that: it awakes, and is told to commit then.
func TestPartnersWordIsNoEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		var slept atomic.Int32
		w.alpha.change = func(o *coordinator.Options) {
			o.Peers = liar{o.Peers}
			o.Devices = sleeper{
				Devices: o.Devices, slept: &slept,
				commit: lwm2m.NewPath(objects.DefaultIDs.Transfer, 0, objects.TransferCommit),
			}
		}
		w.alpha.open(t)
		w.start(t)
		id := w.handOver(t)
		until(t, 10*time.Minute, "commit lost", func() bool { return slept.Load() == 1 })
		time.Sleep(10 * time.Minute)
		if got := w.alpha.states(t, id); got[transfer.RowUnknown] != 1 {
			t.Errorf("on the partner's word alone the device is %v, want UNKNOWN", got)
			w.explain(t, w.alpha, id)
		}
		if s, at := w.devices[0].state(); s.State != transfer.Ready || at != w.alpha {
			t.Errorf("device is %s, at Alpha: %v; want READY and registered", s.State, at == w.alpha)
		}
		slept.Store(2)
		time.Sleep(10 * time.Minute)
		w.moved(t, id)
	})
}

// TestNoOfferToASuspendedPartner: a partner whose signer was stolen is suspended
// between our approval and the offer. It gets none before it is admitted again.
func TestNoOfferToASuspendedPartner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.start(t)
		alpha := w.beta.partner(t, w.alpha)
		admit := func(s coordinator.PartnerState) {
			_, err := w.beta.coordinator().SetPartnerState(t.Context(), alpha.ID, s, "operator:bob", "signer stolen")
			check(t, err)
		}
		draft, err := w.alpha.coordinator().Draft(t.Context(), coordinator.Draft{
			Partner: w.alpha.partner(t, w.beta).ID, Devices: []fleet.ID{w.devices[0].id(w.alpha)}, Actor: "operator:alice",
			Window: transfer.NewWindow(time.Time{}, time.Now().Add(time.Hour)),
		})
		check(t, err)
		_, err = w.alpha.coordinator().Submit(t.Context(), draft.ID, "operator:alice")
		check(t, err)
		until(t, time.Minute, "accepted at Beta", func() bool {
			got, err := w.beta.store.Transfer(t.Context(), draft.ID)
			return err == nil && got.State == transfer.BatchInfoAccepted
		})
		admit(coordinator.Suspended)
		w.approve(t, w.beta, draft.ID, transfer.BatchInfoAccepted)
		time.Sleep(10 * time.Minute)
		if got, _ := w.alpha.store.Transfer(t.Context(), draft.ID); got.State != transfer.BatchInfoAccepted {
			t.Errorf("transfer at the suspended partner is %s, want INFO_ACCEPTED: no offer", got.State)
		}
		admit(coordinator.Active)
		w.approve(t, w.alpha, draft.ID, transfer.BatchOffered)
		time.Sleep(10 * time.Minute)
		w.moved(t, draft.ID)
	})
}
