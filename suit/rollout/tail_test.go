package rollout_test

import (
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
)

// TestTail checks that devices which fit later join, and that people close it.
func TestTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{}, good(3))
		w.devices["late"] = &device{fetched: staged, update: success}
		w.devices["other"] = &device{fetched: staged, update: success}
		w.start(rollout.Draft{Devices: []fleet.ID{"d000"}, Plan: rollout.Plan{Filter: &rollout.Filter{Model: "m"}}})
		time.Sleep(5 * time.Minute)
		w.is(rollout.CampaignTail, "2 devices join the tail")
		w.store.Know(
			rollout.Candidate{Device: "late", Ownership: fleet.Owned, Model: "m", Registered: true},
			rollout.Candidate{Device: "new", Ownership: fleet.Owned, Model: "m", Version: "2.0"},
			rollout.Candidate{Device: "other", Ownership: fleet.Owned, Model: "x"},
			rollout.Candidate{Device: "gone", Ownership: fleet.Left, Model: "m"},
		)
		time.Sleep(24 * time.Hour)
		if c := w.counts(); c.Done() != 4 || c.Total() != 4 {
			t.Errorf("counts = %v, want 4 done", c)
		}
		w.do(rollout.Finish)
		time.Sleep(time.Minute)
		w.is(rollout.CampaignDone, "4 of 4 done")
	})
}

// TestTailGate checks that devices which join late are not begun without end while
// they fail.
func TestTailGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{}, good(40, failing(3, 4, 5)))
		w.start(rollout.Draft{Devices: []fleet.ID{"d000"}, Plan: rollout.Plan{
			Filter: &rollout.Filter{Model: "m"}, Rates: rollout.Rates{StartsPerMinute: 6},
			TailGate: rollout.Gate{MaxFailures: new(1)},
		}})
		time.Sleep(time.Hour)
		w.is(rollout.CampaignPaused, "tail: 2 of 39 failed, more than 1: paused")
		w.do(rollout.Resume)
		time.Sleep(time.Hour)
		w.is(rollout.CampaignTail, "resumed by bob")
		w.do(rollout.Finish)
		time.Sleep(time.Minute)
		w.is(rollout.CampaignDone, "37 of 40 done, 3 failed")
	})
}

// TestTailEnds checks that the tail closes by time.
func TestTailEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{}, good(3, dead(1)))
		w.start(rollout.Draft{Plan: rollout.Plan{TailFor: 30 * 24 * 3600}})
		time.Sleep(29 * 24 * time.Hour)
		w.is(rollout.CampaignTail, "tail begins")
		time.Sleep(2 * 24 * time.Hour)
		w.is(rollout.CampaignDone, "2 of 3 done, 1 aborted")
	})
}

// TestBlocked checks that the older campaign finishes with a device first, and
// that the newer one says so.
func TestBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{}, good(2, func(i int, d *device) {
			if i == 0 {
				d.fetched = downloads
			}
		}))
		w.release("r0", 1)
		w.start(rollout.Draft{ID: "b", Release: "r0", Devices: []fleet.ID{"d000"}})
		time.Sleep(time.Minute)
		w.start(rollout.Draft{})
		time.Sleep(time.Minute)
		if j := w.job("d000"); j.State != rollout.Planned || j.Reason != rollout.BlockedBy("b") {
			t.Errorf("the device of both: %+v", j.Job)
		}
		w.is(rollout.CampaignTail, "1 busy in an older campaign")
		w.device("d000").mu.Lock()
		w.device("d000").fetched = staged
		staged(w.device("d000"))
		w.device("d000").mu.Unlock()
		w.Wake("d000")
		time.Sleep(time.Minute)
		w.is(rollout.CampaignDone, "2 of 2 done")
	})
}
