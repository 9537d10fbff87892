package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
