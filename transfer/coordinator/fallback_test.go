package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
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

// TestRegistrationRefused: SP2 enrols the device and does not let it register. Both say
// ENROLLED, never ACTIVE, until the grace ends; then CA2 revokes what it has issued. Where
// registrations are taken again in time, the device stays.
func TestRegistrationRefused(t *testing.T) {
	for name, again := range map[string]bool{"for good": false, "for a while": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				w.beta.noDM = true
				w.start(t)
				id := w.handOver(t)
				until(t, 5*time.Minute, "enrolled", func() bool { return w.beta.states(t, id)[transfer.RowEnrolled] == 1 })
				live, err := w.beta.ca.List(t.Context(), est.Query{Kind: est.KindOperational, Status: est.StatusValid})
				if err != nil || len(live) != 1 {
					t.Fatalf("Beta has issued %d certificates, %v", len(live), err)
				}
				time.Sleep(testGrace / 2)
				for _, p := range []*provider{w.alpha, w.beta} {
					if n := p.states(t, id); n[transfer.RowEnrolled] != 1 {
						t.Errorf("%s has %v, want ENROLLED", p.name, n)
					}
				}
				if again {
					w.beta.mu.Lock()
					w.beta.noDM = false
					w.beta.mu.Unlock()
				}
				time.Sleep(30 * time.Minute)
				if again {
					w.moved(t, id)
					return
				}
				w.fellBack(t, id)
				record, err := w.beta.ca.Lookup(t.Context(), live[0].Hash)
				if err != nil || record.Status != est.StatusRevoked {
					t.Errorf("what CA2 issued is %s, %v", record.Status, err)
				}
			})
		})
	}
}
