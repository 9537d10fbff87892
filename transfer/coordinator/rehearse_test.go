package coordinator_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// rehearse drafts a rehearsal with all devices and has both sides approve it.
func (w *world) rehearse(tb testing.TB) string {
	tb.Helper()
	var ids []fleet.ID
	for _, d := range w.devices {
		ids = append(ids, d.id(w.alpha))
	}
	draft, err := w.alpha.coordinator().Draft(tb.Context(), coordinator.Draft{
		Partner: w.alpha.partner(tb, w.beta).ID, Devices: ids, Actor: "operator:alice", Rehearse: true,
		Window: transfer.NewWindow(time.Time{}, time.Now().Add(24*time.Hour)),
	})
	check(tb, err)
	_, err = w.alpha.coordinator().Submit(tb.Context(), draft.ID, "operator:alice")
	check(tb, err)
	time.Sleep(10 * time.Second)
	w.decide(tb, w.beta, draft.ID)
	time.Sleep(10 * time.Second)
	w.decide(tb, w.alpha, draft.ID)
	return draft.ID
}

// rows checks in what state and for what reason the rows of a transfer have ended.
func (p *provider) rows(tb testing.TB, id string, reasons map[string]int) {
	tb.Helper()
	rows, err := p.store.ListRows(tb.Context(), id, "", 100)
	check(tb, err)
	got := map[string]int{}
	for _, r := range rows {
		got[string(r.State)+" "+r.Reason]++
	}
	if !maps.Equal(got, reasons) {
		tb.Errorf("rows at %s: %v, want %v", p.name, got, reasons)
	}
}

// TestRehearsal leads devices to READY and back: none is told to move, both sides know
// how many could, and the hand-over itself follows.
func TestRehearsal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		w.start(t)
		id := w.rehearse(t)
		time.Sleep(10 * time.Minute)
		w.is(t, id, transfer.BatchCancelled, transfer.BatchCancelled)
		got, err := w.alpha.store.Transfer(t.Context(), id)
		if err != nil || !got.Rehearsed || got.WereReady != 3 {
			t.Errorf("rehearsed %t, %d were READY (%s), %v", got.Rehearsed, got.WereReady, got.Reason, err)
			w.explain(t, w.alpha, id)
		}
		w.alpha.rows(t, id, map[string]int{"ABORTED rehearsal: it was READY": 3})
		there, err := w.beta.store.Transfer(t.Context(), id)
		if err != nil || !strings.Contains(there.Reason, "rehearsal: 3 of 3 devices were READY") {
			t.Errorf("Beta was told %q, %v", there.Reason, err)
		}
		for _, d := range w.devices {
			w.stayed(t, d)
			receipts, err := w.beta.store.Receipts(t.Context(), id, fleet.Factory(d.Factory).Short())
			if err != nil || len(receipts) != 1 {
				t.Errorf("Beta compared %d receipts of %s, %v", len(receipts), d.Endpoint, err)
			}
		}
		again := w.handOver(t)
		time.Sleep(10 * time.Minute)
		w.moved(t, again)
	})
}

// TestRehearsalFindsTheAway tells which devices would not have come: they are waited for
// as long as in a hand-over, and no longer.
func TestRehearsalFindsTheAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		away := w.devices[0]
		away.off = true
		w.start(t)
		id := w.rehearse(t)
		time.Sleep(2 * time.Hour)
		got, err := w.alpha.store.Transfer(t.Context(), id)
		if err != nil || got.State != transfer.BatchCancelled || got.WereReady != 2 {
			t.Errorf("%s, %d were READY (%s), %v", got.State, got.WereReady, got.Reason, err)
			w.explain(t, w.alpha, id)
		}
		rows, err := w.alpha.store.ListRows(t.Context(), id, "", 100)
		check(t, err)
		for _, r := range rows {
			if was := strings.Contains(r.Reason, "it was READY"); was != (r.Device != away.id(w.alpha)) {
				t.Errorf("%s is %s: %s", r.Endpoint, r.State, r.Reason)
			}
		}
	})
}

// TestRehearsalRefused has no last update: that would stay on the devices.
func TestRehearsalRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.start(t)
		_, err := w.alpha.coordinator().Draft(t.Context(), coordinator.Draft{
			Partner: w.alpha.partner(t, w.beta).ID, Devices: []fleet.ID{w.devices[0].id(w.alpha)},
			Actor: "operator:alice", Rehearse: true, Update: coordinator.NewestRelease,
		})
		if !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("Draft = %v, want %v", err, coordinator.ErrInvalid)
		}
	})
}
