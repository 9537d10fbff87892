package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"steward/transfer"
)

// fallbacks are the ways in which a device cannot stay with Beta after its commit
// (transfer protocol §7).
var fallbacks = []struct {
	name    string
	prepare func(w *world)                          // before the transfer begins
	during  func(t *testing.T, w *world, id string) // after both approvals
}{
	{name: "CA2 cannot be reached", prepare: func(w *world) { w.beta.closed = true }},
	{name: "DM of SP2 down: enrolled, not registered", prepare: func(w *world) { w.beta.noDM = true }},
	{name: "SP2 silent until its right has ended by contract", during: func(t *testing.T, w *world, id string) {
		t.Helper()
		until(t, 10*time.Minute, "all committed", func() bool {
			return w.alpha.states(t, id)[transfer.RowCommitted] == len(w.devices)
		})
		w.beta.setAway(true)
		time.Sleep(3 * time.Hour)
		if got := w.alpha.states(t, id)[transfer.RowFellBack]; got != len(w.devices) {
			t.Errorf("%d devices at Alpha again while Beta is silent, want all", got)
			w.explain(t, w.alpha, id)
		}
		w.beta.setAway(false)
	}, prepare: func(w *world) { w.beta.closed = true }},
}

func TestFallback(t *testing.T) {
	for _, tt := range fallbacks {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3)
				tt.prepare(w)
				w.start(t)
				id := w.handOver(t)
				if tt.during != nil {
					tt.during(t, w, id)
				}
				time.Sleep(30 * time.Minute)
				w.fellBack(t, id)
				for _, d := range w.devices {
					if s, _ := d.state(); s.Epoch != 1 {
						t.Errorf("%s: epoch %d, want 1", d.Endpoint, s.Epoch)
					}
				}
			})
		})
	}
}

// TestCrashOnTheWayBack kills each provider at each step of a hand-over that
// fails: every device is Alpha's again.
func TestCrashOnTheWayBack(t *testing.T) {
	everyCrash(t, 1, func(t *testing.T, w *world) {
		t.Helper()
		w.beta.mu.Lock()
		w.beta.noDM = true
		w.beta.mu.Unlock()
		id := w.handOver(t)
		time.Sleep(15 * time.Minute)
		w.fellBack(t, id)
	})
}
