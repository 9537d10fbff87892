package rollout_test

import (
	"context"
	"errors"
	"fmt"
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

// good returns n devices that do what they are told, made anew by with.
func good(n int, with ...func(i int, d *device)) map[fleet.ID]*device {
	out := map[fleet.ID]*device{}
	for i := range n {
		d := &device{fetched: staged, update: success}
		for _, f := range with {
			f(i, d)
		}
		out[fleet.ID(fmt.Sprintf("d%03d", i))] = d
	}
	return out
}

// failing makes the devices of some numbers fail to install.
func failing(numbers ...int) func(int, *device) {
	return func(i int, d *device) {
		if slices.Contains(numbers, i) {
			d.update = result(objects.FirmwareFailed)
		}
	}
}

// dead makes the devices of some numbers silent.
func dead(numbers ...int) func(int, *device) {
	return func(i int, d *device) {
		if slices.Contains(numbers, i) {
			d.offline = 1 << 30
		}
	}
}

func (w *world) do(on rollout.CampaignEvent) rollout.Campaign {
	w.t.Helper()
	c, err := w.Do(w.t.Context(), on, rollout.Command{ID: "c", Actor: "bob", Reason: "as agreed"})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// is checks the state of campaign c and what its reason says.
func (w *world) is(state rollout.CampaignState, reason string) {
	w.t.Helper()
	synctest.Wait()
	if c := w.campaign(); c.State != state || !strings.Contains(c.Reason, reason) {
		w.t.Errorf("campaign is %s, %q; want %s, %q", c.State, c.Reason, state, reason)
	}
}

// counts returns the tallies of campaign c, after checking that they are those of
// its jobs.
func (w *world) counts() rollout.Counts {
	w.t.Helper()
	synctest.Wait()
	kept, err := w.store.Counts(w.t.Context(), "c")
	if err != nil {
		w.t.Fatal(err)
	}
	total, counted := rollout.Counts{}, rollout.Counts{}
	for _, c := range kept {
		for t, n := range c {
			total[t] += n
		}
	}
	for _, l := range w.lines("c") {
		counted[l.Tally()]++
	}
	for _, t := range slices.Concat(keys(total), keys(counted)) {
		if total[t] != counted[t] {
			w.t.Errorf("%d jobs are kept as %s, %d are", total[t], t, counted[t])
		}
	}
	return total
}

func keys(c rollout.Counts) (out []rollout.Tally) {
	for t := range c {
		out = append(out, t)
	}
	return out
}

// TestWaves leads a campaign through canary, two waves with gates, and the tail.
func TestWaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{}, good(40, failing(7, 8), dead(3, 20)))
		gate := rollout.Gate{MaxFailedPercent: new(5.0), Soak: 600}
		w.start(rollout.Draft{Plan: rollout.Plan{Waves: []rollout.WaveSpec{
			{Canary: true, Count: 4, Gate: rollout.Gate{Success: 100, MinSample: 2, Soak: 3600}},
			{Percent: 50, Gate: gate},
		}}})
		time.Sleep(time.Minute)
		w.is(rollout.CampaignCanary, "canary begins")
		if c := w.counts(); c.Done() != 3 || c[rollout.Tally(rollout.Queued)] != 1 || c.Of(rollout.Planned) != 36 {
			t.Errorf("in the canary: %v", c)
		}
		time.Sleep(2 * time.Minute) // the silent one is set aside; it soaks
		if s := w.campaign().Waves[0].State; s != rollout.WaveSoaking {
			t.Errorf("the canary is %s, want soaking", s)
		}
		time.Sleep(time.Hour)
		w.is(rollout.CampaignPaused, "wave 1: 2 of 20 failed, more than 5 %: paused")
		if j := w.job("d003"); j.Wave != 3 || j.Aside != rollout.Away {
			t.Errorf("the silent device of the canary: %+v, want it in the tail", j.Job)
		}
		time.Sleep(24 * time.Hour)
		if c := w.counts(); c.Of(rollout.Planned) != 16 {
			t.Errorf("paused for a day: %v, want 16 planned", c)
		}
		w.do(rollout.Resume)
		time.Sleep(5 * time.Minute)
		if s := w.campaign().Waves[1].State; s != rollout.WaveSoaking {
			t.Errorf("wave 1 is %s, want soaking", s)
		}
		time.Sleep(time.Hour)
		w.is(rollout.CampaignTail, "tail begins")
		w.device("d020").mu.Lock()
		w.device("d020").offline = 0
		w.device("d020").mu.Unlock()
		w.Wake("d020")
		time.Sleep(24 * time.Hour)
		w.is(rollout.CampaignDone, "37 of 40 done, 3 failed")
		if j := w.job("d003"); j.State != rollout.Failed || j.Result != rollout.CodeSilent {
			t.Errorf("the dead device: %+v", j.Job)
		}
		w.counts()
	})
}

// TestPauseAbort pauses, resumes and aborts in the middle.
func TestPauseAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{}, good(20, func(_ int, d *device) { d.fetched = downloads }))
		w.start(rollout.Draft{Delivery: rollout.Pull, Plan: rollout.Plan{Rates: rollout.Rates{Concurrent: 5}}})
		time.Sleep(time.Minute)
		w.do(rollout.Pause)
		for _, d := range w.devices {
			d.mu.Lock()
			if d.fw.State == objects.FirmwareDownloading {
				d.fw.State = objects.FirmwareDownloaded
			}
			d.mu.Unlock()
		}
		time.Sleep(time.Hour)
		if c := w.counts(); c.Of(rollout.Downloaded) != 5 || c.Of(rollout.Queued) != 15 {
			t.Errorf("paused: %v, want the 5 downloads finished, none installed, none begun", c)
		}
		if j := w.job("d000"); j.Reason != "waits: the campaign is paused" {
			t.Errorf("a paused device says %q", j.Reason)
		}
		w.do(rollout.Resume)
		time.Sleep(time.Minute)
		if c := w.counts(); c.Done() != 5 || c.Of(rollout.Downloading) != 5 {
			t.Errorf("resumed: %v, want 5 done and 5 more", c)
		}
		var busy fleet.ID
		for _, l := range w.lines("c") {
			if l.State == rollout.Downloading {
				busy = l.Device
			}
		}
		w.device(busy).mu.Lock()
		w.device(busy).fw.State, w.device(busy).update = objects.FirmwareDownloaded, func(d *device) {
			d.fw.State = objects.FirmwareUpdating
		}
		w.device(busy).mu.Unlock()
		w.Wake(busy)
		time.Sleep(time.Second)
		w.do(rollout.Abort)
		time.Sleep(time.Second)
		w.is(rollout.CampaignAborting, "aborted by bob: as agreed")
		w.device(busy).mu.Lock()
		success(w.device(busy))
		w.device(busy).mu.Unlock()
		w.Wake(busy)
		time.Sleep(time.Minute)
		w.is(rollout.CampaignAborted, "aborted by bob: as agreed")
		if c := w.counts(); c.Done() != 6 || c.Of(rollout.Aborted) != 14 {
			t.Errorf("aborted: %v, want 6 done, one of which was installing", c)
		}
		for _, l := range w.lines("c") {
			if l.State == rollout.Aborted && l.Reason != "aborted by bob: as agreed" {
				t.Errorf("an aborted device: %+v", l.Job)
			}
		}
		_, err := w.Do(t.Context(), rollout.Pause, rollout.Command{ID: "c", Actor: "bob"})
		if !errors.Is(err, rollout.ErrEnded) {
			t.Errorf("Pause of an aborted campaign = %v, want ErrEnded", err)
		}
	})
}

// TestGateAborts checks a gate that aborts.
func TestGateAborts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{}, good(10, failing(0, 1)))
		w.start(rollout.Draft{Plan: rollout.Plan{Waves: []rollout.WaveSpec{
			{Count: 2, Gate: rollout.Gate{MaxFailures: new(0), Action: rollout.AbortCampaign}},
		}}})
		time.Sleep(time.Hour)
		w.is(rollout.CampaignAborted, "more than 0: aborted")
		if c := w.counts(); c.Of(rollout.Aborted) < 8 || c.Failed() == 0 {
			t.Errorf("counts = %v", c)
		}
	})
}

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

// TestReview checks the four eyes.
func TestReview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		people := 2
		w := newWorld(t, rollout.RunnerOptions{People: func(context.Context) (int, error) { return people, nil }}, good(1))
		w.start(rollout.Draft{})
		time.Sleep(time.Hour)
		w.is(rollout.CampaignReview, "submitted by ann")
		ann := rollout.Command{ID: "c", Actor: "ann"}
		if _, err := w.Do(t.Context(), rollout.Approve, ann); !errors.Is(err, rollout.ErrApprover) {
			t.Errorf("Approve by the drafter = %v, want ErrApprover", err)
		}
		w.do(rollout.Reject)
		w.is(rollout.CampaignDraft, "sent back by bob: as agreed")
		if _, err := w.Do(t.Context(), rollout.Approve, ann); err == nil {
			t.Error("Approve of a draft: no error")
		}
		w.do(rollout.Submit)
		if c := w.do(rollout.Approve); c.ApprovedBy != "bob" {
			t.Errorf("ApprovedBy = %q", c.ApprovedBy)
		}
		time.Sleep(time.Minute)
		w.is(rollout.CampaignDone, "1 of 1 done")
		for _, on := range []rollout.CampaignEvent{"dance", rollout.LastJob} {
			if _, err := w.Do(t.Context(), on, ann); !errors.Is(err, rollout.ErrCampaign) {
				t.Errorf("Do(%s) = %v, want ErrCampaign", on, err)
			}
		}
	})
}

// TestStart waits for the time of the plan.
func TestStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{}, good(1))
		w.start(rollout.Draft{Plan: rollout.Plan{Start: time.Now().Add(10 * time.Hour)}})
		time.Sleep(10*time.Hour - time.Second)
		w.is(rollout.CampaignScheduled, "approved by ann")
		time.Sleep(time.Minute)
		w.is(rollout.CampaignDone, "1 of 1 done")
	})
}
