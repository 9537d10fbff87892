package coordinator_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// drafted submits a transfer of all devices and returns its id.
func (w *world) drafted(tb testing.TB) string {
	tb.Helper()
	var ids []fleet.ID
	for _, d := range w.devices {
		ids = append(ids, d.id(w.alpha))
	}
	draft, err := w.alpha.coordinator().Draft(tb.Context(), coordinator.Draft{
		Partner: w.alpha.partner(tb, w.beta).ID, Devices: ids, Actor: "operator:alice",
		Window: transfer.NewWindow(w.earliest, time.Now().Add(24*time.Hour)),
	})
	check(tb, err)
	_, err = w.alpha.coordinator().Submit(tb.Context(), draft.ID, "operator:alice")
	check(tb, err)
	time.Sleep(10 * time.Second)
	return draft.ID
}

// is checks how far a transfer is at each side.
func (w *world) is(tb testing.TB, id string, alpha, beta transfer.BatchState) {
	tb.Helper()
	for p, want := range map[*provider]transfer.BatchState{w.alpha: alpha, w.beta: beta} {
		got, err := p.store.Transfer(tb.Context(), id)
		if err != nil || got.State != want {
			tb.Errorf("at %s the transfer is %s (%s), %v, want %s", p.name, got.State, got.Reason, err, want)
		}
	}
}

// decide approves at one side, whatever was approved before.
func (w *world) decide(tb testing.TB, p *provider, id string) {
	tb.Helper()
	_, err := p.coordinator().Approve(tb.Context(), id, "operator:bob", "as agreed")
	check(tb, err)
	time.Sleep(10 * time.Second)
}

// TestRevision: an update voids what the partner was told. Before the devices are staged
// that voids the offer, which must be made and approved anew; while they are, they go on
// when the partner has accepted it.
func TestRevision(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, w *world, id string){
		"before the offer": func(t *testing.T, w *world, id string) {
			t.Helper()
			w.revise(t, id)
			w.decide(t, w.beta, id)
			w.decide(t, w.alpha, id)
		},
		"after the offer": func(t *testing.T, w *world, id string) {
			t.Helper()
			w.decide(t, w.beta, id)
			w.is(t, id, transfer.BatchOffered, transfer.BatchOffered)
			w.extend(t, id, window(t, w.alpha, id).Latest.Time().Add(time.Hour))
			w.revise(t, id)
			w.is(t, id, transfer.BatchInfoAccepted, transfer.BatchInfoAccepted)
			for _, p := range []*provider{w.alpha, w.beta} {
				if got, err := p.store.Transfer(t.Context(), id); err != nil || !got.Offer.IsZero() || got.Moved {
					t.Errorf("at %s the offer that is void stands, or what was agreed beside it: %v", p.name, err)
				}
			}
			_, err := w.alpha.coordinator().Approve(t.Context(), id, "operator:bob", "")
			if !errors.Is(err, coordinator.ErrState) {
				t.Errorf("the offer that is void can be approved: %v", err)
			}
			w.decide(t, w.beta, id)
			w.decide(t, w.alpha, id)
		},
		"while staging": func(t *testing.T, w *world, id string) {
			t.Helper()
			w.decide(t, w.beta, id)
			w.updated()
			w.decide(t, w.alpha, id)
			time.Sleep(30 * time.Second)
			w.is(t, id, transfer.BatchStaging, transfer.BatchStaging)
			if n := w.alpha.states(t, id); n[transfer.RowListed] != len(w.devices) {
				t.Errorf("rows before the revision: %v", n)
			}
			w.beta.setAway(true)
			_, err := w.alpha.coordinator().Revise(t.Context(), id, "operator:alice", "updated")
			check(t, err)
			time.Sleep(20 * time.Minute)
			w.is(t, id, transfer.BatchStaging, transfer.BatchStaging)
			w.beta.setAway(false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3)
				w.start(t)
				id := w.drafted(t)
				w.is(t, id, transfer.BatchInfoAccepted, transfer.BatchInfoAccepted)
				test(t, w, id)
				time.Sleep(30 * time.Minute)
				w.moved(t, id)
				for _, p := range []*provider{w.alpha, w.beta} {
					if report, _ := p.record(t, id); !report.Proved {
						t.Errorf("record of %s: not proved: %q", p.name, unproved(report))
					}
				}
			})
		})
	}
}

// TestRevisionDeclined: Beta withdraws while Alpha, which does not hear of it, tells it anew what
// the devices run. It declines that, and no device is left waiting for anything.
func TestRevisionDeclined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.beta.change = func(o *coordinator.Options) {
			o.Peers = late{o.Peers, coordinator.ActionWithdraw, time.Now().Add(10 * time.Minute)}
		}
		w.beta.open(t)
		w.start(t)
		id := w.drafted(t)
		_, err := w.beta.coordinator().Withdraw(t.Context(), id, "operator:bob", "not yet")
		check(t, err)
		w.revise(t, id)
		time.Sleep(30 * time.Minute)
		w.is(t, id, transfer.BatchCancelled, transfer.BatchCancelled)
		for _, p := range []*provider{w.alpha, w.beta} {
			if n := p.states(t, id); n[transfer.RowAborted] != 2 {
				t.Errorf("rows at %s: %v, want two ABORTED", p.name, n)
			}
		}
	})
}

// TestRevisedTooOften: a partner does not fill the disk with revisions.
func TestRevisedTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.start(t)
		id := w.drafted(t)
		for range 32 {
			_, err := w.alpha.coordinator().Revise(t.Context(), id, "operator:alice", "")
			check(t, err)
			time.Sleep(10 * time.Second)
		}
		_, err := w.alpha.coordinator().Revise(t.Context(), id, "operator:alice", "")
		if !errors.Is(err, coordinator.ErrState) {
			t.Errorf("one revision too many: %v", err)
		}
		w.is(t, id, transfer.BatchInfoAccepted, transfer.BatchInfoAccepted)
	})
}

// revise updates the devices and tells the partner.
func (w *world) revise(tb testing.TB, id string) {
	tb.Helper()
	w.updated()
	_, err := w.alpha.coordinator().Revise(tb.Context(), id, "operator:alice", "updated")
	check(tb, err)
	time.Sleep(10 * time.Second)
}

// TestOfferExpires: an offer that nobody approves in time goes, and another comes.
func TestOfferExpires(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(map[bool]string{false: "both there", true: "Alpha is away"}[away], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				w.beta.change = func(o *coordinator.Options) { o.OfferLife = time.Hour }
				w.beta.open(t)
				w.start(t)
				id := w.drafted(t)
				w.decide(t, w.beta, id)
				w.is(t, id, transfer.BatchOffered, transfer.BatchOffered)
				first, err := w.alpha.store.Transfer(t.Context(), id)
				check(t, err)
				w.alpha.setAway(away)
				time.Sleep(2 * time.Hour)
				if away { // nobody knows whether Alpha has approved
					w.is(t, id, transfer.BatchInfoAccepted, transfer.BatchOffered)
					w.alpha.setAway(false)
					time.Sleep(time.Minute)
				}
				w.is(t, id, transfer.BatchInfoAccepted, transfer.BatchInfoAccepted)
				w.decide(t, w.beta, id)
				second, err := w.alpha.store.Transfer(t.Context(), id)
				check(t, err)
				if second.Offer == first.Offer || second.Offer.IsZero() {
					t.Errorf("the second offer is %v, the first was %v", second.Offer, first.Offer)
				}
				w.decide(t, w.alpha, id)
				time.Sleep(30 * time.Minute)
				w.moved(t, id)
			})
		})
	}
}

// TestApprovedOfferHolds: Alpha approves in time and tells late.
func TestApprovedOfferHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.beta.change = func(o *coordinator.Options) { o.OfferLife = time.Hour }
		w.beta.open(t)
		w.start(t)
		id := w.drafted(t)
		w.decide(t, w.beta, id)
		w.beta.setAway(true)
		w.decide(t, w.alpha, id)
		time.Sleep(2 * time.Hour)
		w.is(t, id, transfer.BatchApproved, transfer.BatchOffered)
		w.beta.setAway(false)
		time.Sleep(30 * time.Minute)
		w.moved(t, id)
	})
}

// TestPartnerAwayUntilTheEnd: what could not be told until the window has passed is over.
func TestPartnerAwayUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.start(t)
		id := w.drafted(t)
		w.decide(t, w.beta, id)
		w.beta.setAway(true)
		w.decide(t, w.alpha, id)
		time.Sleep(25 * time.Hour)
		w.is(t, id, transfer.BatchExpired, transfer.BatchExpired)
		w.beta.setAway(false)
		time.Sleep(10 * time.Minute)
		w.is(t, id, transfer.BatchExpired, transfer.BatchExpired)
	})
}
