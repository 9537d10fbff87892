package coordinator_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// revisions are the informations of a transfer that were revised.
func (p *provider) revisions(tb testing.TB, id string) (n int) {
	tb.Helper()
	papers, err := p.store.Papers(tb.Context(), id)
	check(tb, err)
	for _, paper := range papers {
		if paper.Kind == coordinator.PaperInfo {
			n++
		}
	}
	return n
}

// noticed has a provider hear of all devices, as after an update.
func (w *world) noticed() {
	for _, d := range w.devices {
		w.alpha.coordinator().Wake(d.id(w.alpha))
	}
}

// TestTellsAnew: devices are updated after the partner was told what they run. It is told
// anew by itself, once for all that were updated by the time.
func TestTellsAnew(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, w *world, id string){
		"before the offer": func(t *testing.T, w *world, id string) {
			t.Helper()
			w.updates(w.devices[0], later(), true)
			w.noticed()
			time.Sleep(40 * time.Second)
			if n := w.alpha.revisions(t, id); n != 0 {
				t.Errorf("%d revisions within the minute in which they are collected", n)
			}
			got, err := w.alpha.store.Transfer(t.Context(), id)
			if check(t, err); !strings.Contains(got.Reason, "told anew at ") {
				t.Errorf("people are told %q", got.Reason)
			}
			w.updated()
			w.noticed()
			time.Sleep(time.Minute)
			w.decide(t, w.beta, id)
			w.decide(t, w.alpha, id)
		},
		"after the offer": func(t *testing.T, w *world, id string) {
			t.Helper()
			w.decide(t, w.beta, id)
			w.updated()
			w.noticed()
			time.Sleep(2 * time.Minute)
			w.is(t, id, transfer.BatchInfoAccepted, transfer.BatchInfoAccepted)
			w.decide(t, w.beta, id)
			w.decide(t, w.alpha, id)
		},
		"while staging, Beta away for a while": func(t *testing.T, w *world, id string) {
			t.Helper()
			w.decide(t, w.beta, id)
			w.updated()
			w.decide(t, w.alpha, id)
			w.beta.setAway(true)
			time.Sleep(20 * time.Minute) // longer than others wait for them
			w.is(t, id, transfer.BatchStaging, transfer.BatchStaging)
			w.beta.setAway(false)
		},
		"Alpha crashes before": func(t *testing.T, w *world, id string) {
			t.Helper()
			w.decide(t, w.beta, id)
			w.updated()
			w.decide(t, w.alpha, id)
			w.alpha.stop()
			w.alpha.open(t)
			w.alpha.start()
		},
		"the answer is lost": func(t *testing.T, w *world, id string) {
			t.Helper()
			w.decide(t, w.beta, id)
			w.updated()
			w.decide(t, w.alpha, id)
			w.beta.loseNext(coordinator.ActionInfo)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3)
				w.start(t)
				id := w.drafted(t)
				test(t, w, id)
				time.Sleep(30 * time.Minute)
				w.moved(t, id)
				for _, p := range []*provider{w.alpha, w.beta} {
					if n := p.revisions(t, id); n != 1 {
						t.Errorf("%d revisions at %s, want 1", n, p.name)
					}
					if report, _ := p.record(t, id); !report.Proved {
						t.Errorf("record of %s: not proved: %q", p.name, unproved(report))
					}
				}
			})
		})
	}
}

// TestTellsNothingNew: by its receipt a device runs what no update of ours has brought.
// There is nothing to tell anew: it waits, its row says why, and the others go on.
func TestTellsNothingNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.updates(w.devices[0], later(), false)
		w.start(t)
		id := w.handOver(t)
		time.Sleep(20 * time.Minute)
		if n := w.alpha.revisions(t, id); n != 0 {
			t.Errorf("%d revisions", n)
		}
		if n := w.alpha.states(t, id); n[transfer.RowDelivered] != 1 || n[transfer.RowRevokedOld] != 1 {
			t.Errorf("rows are %v", n)
		}
		rows, err := w.alpha.store.ListRows(t.Context(), id, "", 10)
		check(t, err)
		for _, r := range rows {
			if r.State == transfer.RowDelivered && !strings.Contains(r.Reason, "something else than is known here") {
				t.Errorf("it waits because %q", r.Reason)
			}
		}
		time.Sleep(24 * time.Hour)
		if n := w.alpha.states(t, id); n[transfer.RowExpired] != 1 {
			t.Errorf("at the end rows are %v", n)
		}
	})
}

// TestTellsTooLate: one that is updated when the others move already stays.
func TestTellsTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.start(t)
		id := w.drafted(t)
		w.decide(t, w.beta, id)
		late := w.devices[1]
		late.offFor(10 * time.Minute)
		w.decide(t, w.alpha, id)
		time.Sleep(5 * time.Minute) // more than ArmWait
		w.updates(late, later(), true)
		time.Sleep(20 * time.Minute)
		if n := w.alpha.states(t, id); n[transfer.RowListed] != 1 || n[transfer.RowRevokedOld] != 1 {
			t.Errorf("rows are %v", n)
		}
		row, err := w.alpha.store.Row(t.Context(), id, fleet.Factory(late.Factory).Short())
		if check(t, err); !strings.Contains(row.Reason, "the others move already") {
			t.Errorf("it waits because %q", row.Reason)
		}
		time.Sleep(24 * time.Hour)
		if n := w.alpha.states(t, id); n[transfer.RowExpired] != 1 || w.alpha.revisions(t, id) != 0 {
			t.Errorf("at the end rows are %v, revisions %d", n, w.alpha.revisions(t, id))
		}
	})
}
