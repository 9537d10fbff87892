package coordinator_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// TestPartnerLimits: what is too much for good is refused, what is too much now waits at
// the partner and comes when there is room.
func TestPartnerLimits(t *testing.T) {
	for name, test := range map[string]struct {
		limits coordinator.Limits
		first  transfer.BatchState // of a transfer of two devices, one minute later
		second transfer.BatchState // of one of the third device
		later  bool                // 25 hours later that waits for an offer, in time; else it is over
	}{
		"none":            {coordinator.Limits{}, transfer.BatchInfoAccepted, transfer.BatchInfoAccepted, false},
		"one device":      {coordinator.Limits{Devices: 1}, transfer.BatchCancelled, transfer.BatchInfoAccepted, false},
		"one device ever": {coordinator.Limits{Daily: 1}, transfer.BatchCancelled, transfer.BatchInfoAccepted, false},
		"two a day":       {coordinator.Limits{Daily: 2}, transfer.BatchInfoAccepted, transfer.BatchInfoSent, true},
		"one open":        {coordinator.Limits{Open: 1}, transfer.BatchInfoAccepted, transfer.BatchInfoSent, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3)
				w.start(t)
				_, err := w.beta.coordinator().SetPartnerLimits(t.Context(), w.beta.partner(t, w.alpha).ID, test.limits,
					"operator:carol", "as agreed")
				check(t, err)
				submit := func(hours int, devices ...*device) string {
					var ids []fleet.ID
					for _, d := range devices {
						ids = append(ids, d.id(w.alpha))
					}
					draft, err := w.alpha.coordinator().Draft(t.Context(), coordinator.Draft{
						Partner: w.alpha.partner(t, w.beta).ID, Devices: ids, Actor: "operator:alice",
						Window: transfer.NewWindow(time.Time{}, time.Now().Add(time.Duration(hours)*time.Hour)),
					})
					check(t, err)
					_, err = w.alpha.coordinator().Submit(t.Context(), draft.ID, "operator:alice")
					check(t, err)
					time.Sleep(time.Minute)
					return draft.ID
				}
				state := func(id string) transfer.BatchState {
					got, err := w.alpha.store.Transfer(t.Context(), id)
					check(t, err)
					return got.State
				}
				hours := 24
				if test.later {
					hours = 72
				}
				first := submit(24, w.devices[:2]...)
				if got := state(first); got != test.first {
					t.Errorf("the first transfer is %s, want %s", got, test.first)
				}
				second := submit(hours, w.devices[2])
				if got := state(second); got != test.second {
					t.Errorf("the second transfer is %s, want %s", got, test.second)
				}
				time.Sleep(25 * time.Hour)
				if got := state(second); (got == transfer.BatchInfoAccepted) != test.later {
					t.Errorf("a day later the second transfer is %s", got)
				}
			})
		})
	}
}

// TestPartnerCalls: too many calls in a minute are told to wait, and audited once.
func TestPartnerCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		partner := w.beta.partner(t, w.alpha)
		_, err := w.beta.c.SetPartnerLimits(t.Context(), partner.ID, coordinator.Limits{Calls: 60}, "operator:carol", "")
		check(t, err)
		identify := func() error {
			_, err := w.beta.c.Identify(t.Context(), partner.TLSKey(), "192.0.2.1")
			return err
		}
		for range 10 { // what may be saved up
			check(t, identify())
		}
		for range 100 {
			var late *coordinator.LimitError
			if err := identify(); !errors.As(err, &late) || !errors.Is(err, coordinator.ErrLimit) || late.Wait > time.Second {
				t.Fatalf("the eleventh call: %v", err)
			}
		}
		told := 0
		for _, r := range w.beta.store.Rows() {
			if strings.Contains(r.Reason, "too many calls") {
				told++
			}
		}
		if told != 1 {
			t.Errorf("audited %d times", told)
		}
		time.Sleep(time.Second)
		check(t, identify())
		for name, l := range map[string]coordinator.Limits{
			"negative": {Calls: -1}, "more than a transfer may have": {Devices: transfer.MaxDevices + 1},
		} {
			if _, err := w.beta.c.SetPartnerLimits(t.Context(), partner.ID, l, "", ""); !errors.Is(err, coordinator.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := w.beta.c.SetPartnerLimits(t.Context(), "x", coordinator.Limits{}, "", ""); !errors.Is(
			err, coordinator.ErrUnknown) {
			t.Errorf("limits of a stranger: %v", err)
		}
	})
}

// TestSignerStolen: the partner is suspended. Devices before their commit freeze, offers
// go, the devices that hold its anchors are named, and readmitted all goes on.
func TestSignerStolen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		w.earliest = time.Now().Add(30 * time.Minute)
		w.moving = w.devices[:2]
		w.start(t)
		going := w.handOver(t)
		draft, err := w.alpha.coordinator().Draft(t.Context(), coordinator.Draft{
			Partner: w.alpha.partner(t, w.beta).ID, Devices: []fleet.ID{w.devices[2].id(w.alpha)}, Actor: "operator:alice",
		})
		check(t, err)
		_, err = w.alpha.coordinator().Submit(t.Context(), draft.ID, "operator:alice")
		check(t, err)
		time.Sleep(10 * time.Second)
		w.decide(t, w.beta, draft.ID)
		w.is(t, draft.ID, transfer.BatchOffered, transfer.BatchOffered)
		time.Sleep(10 * time.Minute)

		beta := w.alpha.partner(t, w.beta).ID
		_, err = w.alpha.coordinator().SetPartnerState(t.Context(), beta, coordinator.Suspended, "operator:carol", "stolen")
		check(t, err)
		got, err := w.alpha.store.Transfer(t.Context(), draft.ID)
		if err != nil || got.State != transfer.BatchInfoAccepted || !got.Offer.IsZero() {
			t.Errorf("the offer of a suspended partner: %s, %v", got.State, got.Offer)
		}
		var holding []string
		check(t, w.alpha.coordinator().Holding(t.Context(), beta, func(r coordinator.Row) {
			holding = append(holding, string(r.Endpoint))
		}))
		if len(holding) != 2 {
			t.Errorf("devices that hold its anchors: %v", holding)
		}
		time.Sleep(30 * time.Minute) // the window has begun
		if n := w.alpha.states(t, going); n[transfer.RowReady] != 2 {
			t.Errorf("devices of a suspended partner: %v, want two in READY", n)
		}
		_, err = w.alpha.coordinator().SetPartnerState(t.Context(), beta, coordinator.Active, "operator:carol", "new keys")
		check(t, err)
		time.Sleep(10 * time.Minute)
		if n := w.alpha.states(t, going); n[transfer.RowRevokedOld] != 2 {
			t.Errorf("devices after it was readmitted: %v", n)
		}
	})
}
