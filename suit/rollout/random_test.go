package rollout_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/suit/rollout"
)

// TestRandom leads devices that do what they like through two campaigns at once,
// while people pause and resume and the Runner dies and comes back. At any moment
// the counts equal a recount and no device is in hand twice; in the end every job
// is over, and those said to be done run the release.
func TestRandom(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { random(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func random(t *testing.T, dice *rand.Rand) {
	t.Helper()
	w := newWorld(t, rollout.RunnerOptions{Workers: 1 + dice.IntN(8)}, good(25, func(_ int, d *device) {
		whim(d, dice)
	}))
	w.release("r0", 1)
	for i, id := range []string{"b", "c"} {
		w.start(rollout.Draft{ID: id, Release: []string{"r0", "r"}[i], Plan: rollout.Plan{
			Waves: []rollout.WaveSpec{
				{Canary: true, Count: 1 + dice.IntN(4), Gate: rollout.Gate{MaxFailedPercent: new(50.0), Soak: 60}},
				{Percent: 40, Gate: rollout.Gate{MaxFailures: new(dice.IntN(4)), MaxUnreachable: new(3)}},
			},
			Rates:     rollout.Rates{Concurrent: dice.IntN(5), StartsPerMinute: float64(dice.IntN(3) * 10)},
			SilentFor: 60, Timeout: 3600, TailFor: 5 * 24 * 3600,
		}})
	}
	for range 200 {
		time.Sleep(time.Duration(dice.IntN(3600)) * time.Second)
		w.meddle(dice)
		w.sound()
	}
	for range 40 {
		for _, id := range []string{"b", "c"} {
			w.try(rollout.Resume, id)
		}
		time.Sleep(24 * time.Hour)
	}
	w.kill()
	w.sound()
	for _, id := range []string{"b", "c"} {
		c, err := w.store.Campaign(t.Context(), id)
		if err != nil || !c.State.Over() {
			t.Errorf("campaign %s is %s, %q, %v", id, c.State, c.Reason, err)
		}
		for _, l := range w.lines(id) {
			if !l.State.Over() {
				t.Errorf("job of %s in %s: %+v", l.Device, id, l.Job)
			}
			if v := w.devices[l.Device].version; l.State == rollout.Done && v != "2.0" {
				t.Errorf("%s is done in %s, and runs %q", l.Device, id, v)
			}
		}
	}
}

// whim gives a device a character.
func whim(d *device, dice *rand.Rand) {
	fail := result(objects.FirmwareResult(2 + dice.IntN(10)))
	switch dice.IntN(8) {
	case 0:
		d.offline = 1 << 30
	case 1:
		d.offline = dice.IntN(60)
	case 2:
		d.fetched = once(fail, staged)
	case 3:
		d.fetched = downloads
	case 4:
		d.update = fail
	case 5:
		d.update = once(fail, success)
	default: // as it should be
	}
}

// meddle does something that people, devices or the machine may do.
func (w *world) meddle(dice *rand.Rand) {
	w.t.Helper()
	campaign := []string{"b", "c"}[dice.IntN(2)]
	switch dice.IntN(8) {
	case 0:
		w.try(rollout.Pause, campaign)
	case 1, 2, 3:
		w.try(rollout.Resume, campaign)
	case 4:
		w.kill()
		w.run()
	default:
		w.Wake(fleet.ID(fmt.Sprintf("d%03d", dice.IntN(25))))
	}
}

// try does something that the campaign may not accept.
func (w *world) try(on rollout.CampaignEvent, campaign string) {
	w.t.Helper()
	_, err := w.Do(w.t.Context(), on, rollout.Command{ID: campaign, Actor: "bob"})
	if err != nil && !errors.Is(err, rollout.ErrEnded) {
		w.t.Fatal(err)
	}
}

// sound checks what always holds.
func (w *world) sound() {
	w.t.Helper()
	synctest.Wait()
	open := map[fleet.ID]string{}
	for _, id := range []string{"b", "c"} {
		kept, err := w.store.Counts(w.t.Context(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, l := range w.lines(id) {
			kept[l.Wave][l.Tally()]--
			if other := open[l.Device]; other != "" && l.State.Open() {
				w.t.Fatalf("%s is in hand of %s and %s", l.Device, other, id)
			}
			if l.State.Open() {
				open[l.Device] = id
			}
		}
		for wave, counts := range kept {
			for tally, n := range counts {
				if n != 0 {
					w.t.Fatalf("campaign %s, wave %d: %d more are kept as %s than there are", id, wave, n, tally)
				}
			}
		}
	}
}
