package rollout_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/suit/rollout"
)

// TestRates checks that a campaign begins devices no faster than it may.
func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{}, good(60))
		begin := time.Now()
		w.start(rollout.Draft{Plan: rollout.Plan{Rates: rollout.Rates{StartsPerMinute: 6}}})
		time.Sleep(20 * time.Minute)
		w.kill()
		var all []time.Time
		for _, d := range w.devices {
			all = append(all, d.began...)
		}
		slices.SortFunc(all, time.Time.Compare)
		if len(all) != 60 {
			t.Fatalf("%d devices began, want 60", len(all))
		}
		for i, at := range all {
			if want := time.Duration(i-1) * 10 * time.Second; at.Sub(begin) < want {
				t.Errorf("start %d came after %v, want %v at least", i, at.Sub(begin), want)
			}
		}
		if took := all[59].Sub(begin); took > 11*time.Minute {
			t.Errorf("60 starts at 6 a minute took %v", took)
		}
		w.is(rollout.CampaignDone, "60 of 60 done")
	})
}

// TestSlowLane checks that devices which are out of reach, and each of which keeps
// a worker for as long as CoAP repeats itself, do not hold up the others.
func TestSlowLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{Workers: 8}, good(200, func(i int, d *device) {
			if i%2 == 0 {
				d.offline, d.hangs = 1<<30, 93*time.Second
			}
		}))
		w.start(rollout.Draft{Plan: rollout.Plan{Rates: rollout.Rates{Concurrent: 5}, TailFor: 30 * 24 * 3600}})
		for range 60 {
			time.Sleep(time.Minute)
			if c := w.counts(); c.Done() == 100 {
				break
			}
		}
		if c := w.counts(); c.Done() != 100 {
			t.Errorf("after an hour: %v, want all 100 done that can be reached", c)
		}
		time.Sleep(3 * 24 * time.Hour)
		w.is(rollout.CampaignTail, "tail begins")
		back := w.device("d000")
		back.mu.Lock()
		back.offline, back.hangs = 0, 0
		back.mu.Unlock()
		w.Wake("d000")
		time.Sleep(2 * time.Minute)
		if j := w.job("d000"); j.State != rollout.Done {
			t.Errorf("a device that is back while the others are not: %+v", j.Job)
		}
	})
}

// TestConcurrent counts the downloads at once, devices that come back among them.
func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		loading, most := 0, 0
		w := newWorld(t, rollout.RunnerOptions{}, good(50, func(i int, d *device) {
			d.fetched = func(d *device) {
				downloads(d)
				mu.Lock()
				loading++
				most = max(most, loading)
				mu.Unlock()
				time.AfterFunc(time.Minute, func() {
					d.mu.Lock()
					defer d.mu.Unlock()
					mu.Lock()
					loading--
					mu.Unlock()
					staged(d)
				})
			}
			if i < 10 {
				d.offline = 4
			}
		}))
		w.start(rollout.Draft{
			Delivery: rollout.Pull,
			Plan:     rollout.Plan{Rates: rollout.Rates{Concurrent: 3}, SilentFor: 1},
		})
		time.Sleep(90 * time.Second)
		w.kill()
		w.run()
		time.Sleep(25 * time.Minute) // 50 downloads, three at once, a minute each
		w.is(rollout.CampaignDone, "50 of 50 done")
		mu.Lock()
		defer mu.Unlock()
		if most != 3 {
			t.Errorf("%d downloads at once, want 3", most)
		}
	})
}

// TestWindowsAndPower checks that devices wait for their windows, by their own
// clocks, and for power.
func TestWindowsAndPower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC, 2000-01-01
		battery := int64(20)
		w := newWorld(t, rollout.RunnerOptions{}, good(3, func(i int, d *device) {
			d.about = objects.Device{ErrorCodes: map[uint16]int64{0: 0}, Bindings: "U"}
			switch i {
			case 0:
				d.about.UTCOffset = "+03:00"
			case 1:
				d.about.BatteryLevel = &battery
			}
		}))
		w.start(rollout.Draft{Plan: rollout.Plan{
			Windows: rollout.Windows{
				Download: []rollout.Window{{From: "02:00", To: "04:00"}},
				Install:  []rollout.Window{{From: "05:00", To: "06:00"}},
				Zone:     "+01:00",
			},
			Needs: rollout.Conditions{Battery: 50},
		}})
		time.Sleep(30 * time.Minute)
		if j := w.job("d000"); j.State != rollout.Downloaded || !strings.Contains(j.Reason, "install window (05:00-06:00") ||
			j.Zone != "+03:00" {
			t.Errorf("at 03:30 of its own: %+v", j.Job)
		}
		opens := "opens at 2000-01-01T02:00:00+01:00"
		if j := w.job("d002"); j.State != rollout.Waiting || !strings.Contains(j.Reason, opens) {
			t.Errorf("at 01:30 of the plan's zone: %+v", j.Job)
		}
		time.Sleep(100 * time.Minute) // 02:10 UTC
		if j := w.job("d000"); j.State != rollout.Done {
			t.Errorf("at 05:10 of its own: %+v", j.Job)
		}
		if j := w.job("d001"); j.State != rollout.Waiting || j.Reason != "waits: the battery has 20 %, it needs 50 %" {
			t.Errorf("without power: %+v", j.Job)
		}
		w.device("d001").mu.Lock()
		battery = 80
		w.device("d001").mu.Unlock()
		time.Sleep(2 * time.Hour) // 04:10 UTC
		for _, id := range []fleet.ID{"d001", "d002"} {
			if j := w.job(id); j.State != rollout.Done {
				t.Errorf("at 05:10 of the plan's zone: %+v", j.Job)
			}
		}
	})
}
