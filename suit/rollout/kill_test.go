package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
)

// TestKill ends the Runner at every write to its store, before the write took
// effect, and starts another on what is stored, as kill -9 and a restart would.
// Whatever the moment, the campaign ends with every device updated, and none was
// told to install twice.
func TestKill(t *testing.T) {
	for kill := 0; ; kill++ {
		writes := 0
		t.Run(fmt.Sprint(kill), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { writes = killAt(t, kill) })
		})
		if kill >= writes || t.Failed() {
			if kill < 40 {
				t.Errorf("only %d writes were interrupted", kill)
			}
			return
		}
	}
}

var errKilled = errors.New("killed")

// killAt runs a campaign whose nth write kills the Runner, and returns how many
// writes there were until then.
func killAt(t *testing.T, n int) int {
	t.Helper()
	w := newWorld(t, rollout.RunnerOptions{Workers: 2}, good(6, dead(5)))
	plan := rollout.Plan{
		SilentFor: 10, TailFor: 3600,
		Waves: []rollout.WaveSpec{{Canary: true, Count: 1, Gate: rollout.Gate{Soak: 60}}, {Count: 2}},
	}
	writes, killed := 0, make(chan struct{})
	w.start(rollout.Draft{Plan: plan, Devices: []fleet.ID{"d000", "d001", "d002", "d003", "d004", "d005"}})
	w.store.FailBy(func() error {
		switch writes++; {
		case writes == n+1:
			close(killed)
			return errKilled
		case writes > n:
			return errKilled // it is dead, and only the others of its goroutines do not know
		}
		return nil
	})
	select {
	case <-killed:
	case <-time.After(3 * time.Hour):
		w.kill()
		return writes
	}
	w.kill()
	w.store.FailBy(nil)
	w.run()
	time.Sleep(3 * time.Hour)
	w.kill()
	w.is(rollout.CampaignDone, "5 of 6 done")
	if c := w.counts(); c.Done() != 5 || c.Of(rollout.Aborted) != 1 {
		t.Errorf("killed at write %d: %v", n, c)
	}
	for id, d := range w.devices {
		if d.executed > 1 {
			t.Errorf("killed at write %d: %s was told to install %d times", n, id, d.executed)
		}
	}
	return writes
}

// A counting Store counts what is asked of it.
type counting struct {
	rollout.Store

	calls atomic.Int64
}

func (c *counting) Campaign(ctx context.Context, id string) (rollout.Campaign, error) {
	c.calls.Add(1)
	return c.Store.Campaign(ctx, id)
}

func (c *counting) OfDevice(ctx context.Context, id fleet.ID) (rollout.Job, error) {
	c.calls.Add(1)
	return c.Store.OfDevice(ctx, id)
}

func (c *counting) Counts(ctx context.Context, id string) (map[int]rollout.Counts, error) {
	c.calls.Add(1)
	return c.Store.Counts(ctx, id)
}

func (c *counting) OpenJobs(ctx context.Context, id string, after fleet.ID, n int) ([]rollout.Job, error) {
	c.calls.Add(1)
	return c.Store.OpenJobs(ctx, id, after, n)
}

// TestForeignEvents checks that events of devices that no campaign has in hand ask
// the store nothing, and allocate nothing.
func TestForeignEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{}, good(2, dead(0)))
		store := &counting{Store: w.store}
		w.kill()
		w.o.Store = store
		w.run()
		w.start(rollout.Draft{})
		time.Sleep(time.Hour)
		if n := rollout.OpenDevices(w.Runner); n != 1 {
			t.Errorf("%d devices in hand, want the dead one", n)
		}
		before := store.calls.Load()
		if n := testing.AllocsPerRun(10000, func() { w.Wake("somebody") }); n > 0 {
			t.Errorf("an event of another device allocates %v times", n)
		}
		synctest.Wait()
		if n := store.calls.Load() - before; n != 0 {
			t.Errorf("10000 events of another device asked the store %d times", n)
		}
		w.device("d000").mu.Lock()
		w.device("d000").offline = 0
		w.device("d000").mu.Unlock()
		w.Wake("d000")
		time.Sleep(time.Minute)
		w.is(rollout.CampaignDone, "2 of 2 done")
	})
}

// A picky Deliverer refuses some devices before anything is sent.
type picky struct{ rollout.FirmwareObject }

func (picky) Check(_ context.Context, o rollout.Order) ([]string, error) {
	if o.Device == "d001" {
		return []string{"made for class A, the device is B", "1 MB needed, 12 KB free"}, nil
	}
	return nil, nil
}

// TestRefused checks that a device whom the manifest does not suit gets nothing,
// and counts by itself.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{}, good(3))
		w.kill()
		w.o.Deliverer = picky{rollout.FirmwareObject{Devices: w, Store: w.store, URI: w.o.URI}}
		w.run()
		w.start(rollout.Draft{Plan: rollout.Plan{
			Waves: []rollout.WaveSpec{{Gate: rollout.Gate{MaxFailures: new(0), MaxRefused: new(0)}}},
		}})
		time.Sleep(time.Minute)
		w.is(rollout.CampaignPaused, "1 of 3 refused before sending, more than 0: paused")
		w.kill()
		j := w.job("d001")
		if j.State != rollout.Incompatible || len(w.device("d001").writes) > 0 ||
			j.Reason != "made for class A, the device is B; 1 MB needed, 12 KB free" {
			t.Errorf("the refused device: %+v, writes %v", j.Job, w.device("d001").writes)
		}
		w.run()
		w.do(rollout.Resume)
		time.Sleep(time.Minute)
		w.is(rollout.CampaignDone, "2 of 3 done, 1 refused")
	})
}
