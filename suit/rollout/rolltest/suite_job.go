package rolltest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
)

func testJobs(t *testing.T, s rollout.Store) {
	t.Helper()
	ctx := t.Context()
	c := campaign("c1")
	add(t, s, c, planned("c1", 0, "b", "a"))
	if open, err := s.OpenJobs(ctx, "", "", 9); err != nil || len(open) != 0 {
		t.Errorf("OpenJobs before the start = %+v, %v", open, err)
	}
	started, blocked, err := s.StartJobs(ctx, c, 0, 1, at)
	if err != nil || blocked != 0 || len(started) != 1 || started[0].Device != "b" || started[0].State != rollout.Queued {
		t.Fatalf("StartJobs = %+v, %d, %v; want b, the first in order", started, blocked, err)
	}
	stale := c
	stale.Version++
	if _, _, err := s.StartJobs(ctx, stale, 0, 1, at); !errors.Is(err, rollout.ErrMoved) {
		t.Errorf("StartJobs of another version = %v, want ErrMoved", err)
	}
	j := set(t, s, started[0], func(j *rollout.Job) {
		j.State, j.Result, j.Tries, j.Zone, j.Attempts = rollout.Waiting, 4, 3, "+02:00", map[int]int{4: 1, -2: 2}
		j.Silent, j.BeganAt, j.FirstAt, j.Due = at, at.Add(1e6), at.Add(2e6), at.Add(time.Hour)
	})
	if got, err := s.OfDevice(ctx, "b"); err != nil || !reflect.DeepEqual(got, j) {
		t.Errorf("OfDevice = %+v, %v\nwant %+v", got, err, j)
	}
	if ok, err := s.SetJob(ctx, started[0], j); err != nil || ok {
		t.Errorf("SetJob of an old version = %v, %v; want false", ok, err)
	}
	if got, err := s.Installed(ctx, "b"); err != nil || len(got) != 0 {
		t.Errorf("Installed before = %+v, %v", got, err)
	}
	testDone(t, s, j)
}

// testDone ends the job of b, the first of two in campaign c1.
func testDone(t *testing.T, s rollout.Store, j rollout.Job) {
	t.Helper()
	ctx := t.Context()
	j = set(t, s, j, func(j *rollout.Job) { j.State, j.EndedAt = rollout.Done, at.Add(time.Hour) })
	if _, err := s.OfDevice(ctx, "b"); !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("OfDevice after the end = %v, want ErrUnknown", err)
	}
	if got, err := s.Installed(ctx, "b"); err != nil || len(got) != 1 || got[0].Sequence != 5 || got[0].Release != "01" {
		t.Errorf("Installed = %+v, %v", got, err)
	}
	lines, err := s.Lines(ctx, "c1", rollout.Job{}, 1)
	if err != nil || len(lines) != 1 || !reflect.DeepEqual(lines[0].Job, j) {
		t.Fatalf("Lines = %+v, %v\nwant %+v", lines, err, j)
	}
	if lines, err = s.Lines(ctx, "c1", lines[0].Job, 9); err != nil || len(lines) != 1 || lines[0].Device != "a" {
		t.Errorf("Lines, second page = %+v, %v", lines, err)
	}
}

// testBlocked has two campaigns want one device: the older one finishes first.
func testBlocked(t *testing.T, s rollout.Store) {
	t.Helper()
	ctx := t.Context()
	older, newer := campaign("c1"), campaign("c2")
	add(t, s, older, planned("c1", 0, "a"))
	add(t, s, newer, planned("c2", 1, "a", "b"))
	first, _, err := s.StartJobs(ctx, older, 0, 9, at)
	if err != nil || len(first) != 1 {
		t.Fatalf("StartJobs of the older = %+v, %v", first, err)
	}
	started, blocked, err := s.StartJobs(ctx, newer, 1, 9, at)
	if err != nil || blocked != 1 || len(started) != 1 || started[0].Device != "b" {
		t.Fatalf("StartJobs of the newer = %+v, %d, %v; want b, and a blocked", started, blocked, err)
	}
	wantCounts(t, s, "c2", map[int]rollout.Counts{1: {"blocked": 1, "queued": 1}})
	lines, err := s.Lines(ctx, "c2", rollout.Job{}, 1)
	if err != nil || len(lines) != 1 || lines[0].Reason != rollout.BlockedBy("nc1") {
		t.Errorf("Lines = %+v, %v; want the reason", lines, err)
	}
	set(t, s, first[0], func(j *rollout.Job) { j.State = rollout.Failed })
	wantCounts(t, s, "c2", map[int]rollout.Counts{1: {"planned": 1, "queued": 1}})
	if started, _, err = s.StartJobs(ctx, newer, 1, 9, at); err != nil || len(started) != 1 || started[0].Device != "a" {
		t.Fatalf("StartJobs when the device is free = %+v, %v", started, err)
	}
	third := campaign("c3")
	add(t, s, third, planned("c3", 0, "a"))
	if _, blocked, err = s.StartJobs(ctx, third, 0, 9, at); err != nil || blocked != 1 {
		t.Fatalf("StartJobs of the third = %d blocked, %v", blocked, err)
	}
	change(t, s, newer, rollout.CampaignAborted, 0, rollout.AbortJobs)
	wantCounts(t, s, "c3", map[int]rollout.Counts{0: {"planned": 1}})
}

// testLate adds devices that come later, each once.
func testLate(t *testing.T, s rollout.Store) {
	t.Helper()
	ctx := t.Context()
	c := campaign("c1")
	add(t, s, c, planned("c1", 0, "a"))
	if n, err := s.AddJobs(ctx, "c1", planned("c1", 2, "a", "b")); err != nil || n != 1 {
		t.Errorf("AddJobs = %d, %v; want b alone", n, err)
	}
	wantCounts(t, s, "c1", map[int]rollout.Counts{0: {"planned": 1}, 2: {"planned": 1}})
	if _, err := s.AddJobs(ctx, "x", nil); !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("AddJobs(x) = %v, want ErrUnknown", err)
	}
	change(t, s, c, rollout.CampaignDone, 0)
	if n, err := s.AddJobs(ctx, "c1", planned("c1", 2, "c")); err != nil || n != 0 {
		t.Errorf("AddJobs to one that is over = %d, %v; want none", n, err)
	}
}

// counted is how many devices testCounts throws dice for.
const counted = 20

func fleetOf(n int) (ids []fleet.ID) {
	for i := range n {
		ids = append(ids, fleet.ID(fmt.Sprintf("d%02d", i)))
	}
	return ids
}

// testCounts does what it likes to three campaigns of the same devices. The counts
// that are kept always equal those that are counted, and no device is in hand
// twice.
func testCounts(t *testing.T, s rollout.Store) {
	t.Helper()
	ctx := t.Context()
	dice := rand.New(rand.NewPCG(7, 9)) //nolint:gosec // G404: the same dice each time
	campaigns := []rollout.Campaign{campaign("c1"), campaign("c2"), campaign("c3")}
	for _, c := range campaigns {
		add(t, s, c, planned(c.ID, dice.IntN(2), fleetOf(counted)...))
	}
	states := []rollout.JobState{
		rollout.Queued, rollout.Waiting, rollout.Delivering, rollout.Downloading, rollout.Installing, rollout.Done,
		rollout.Failed, rollout.Incompatible,
	}
	asides := []rollout.Aside{"", "", rollout.Away, rollout.Deferred}
	for range 400 {
		i := dice.IntN(len(campaigns))
		c := &campaigns[i]
		if _, _, err := s.StartJobs(ctx, *c, dice.IntN(3), dice.IntN(4), at); err != nil {
			t.Fatal(err)
		}
		switch open, err := s.OpenJobs(ctx, c.ID, "", counted); {
		case err != nil:
			t.Fatal(err)
		case len(open) > 0:
			set(t, s, open[dice.IntN(len(open))], func(j *rollout.Job) {
				if j.State = states[dice.IntN(len(states))]; !j.State.Over() {
					j.Aside = asides[dice.IntN(len(asides))]
				} else {
					j.Aside = ""
				}
			})
		}
		if dice.IntN(20) == 0 {
			*c = change(t, s, *c, rollout.CampaignWaves, dice.IntN(2), rollout.MoveAside)
		}
		check(t, s, campaigns)
	}
	campaigns[0] = change(t, s, campaigns[0], rollout.CampaignAborting, 0, rollout.AbortJobs)
	check(t, s, campaigns)
}

// check counts all jobs anew and compares.
func check(t *testing.T, s rollout.Store, campaigns []rollout.Campaign) {
	t.Helper()
	var open []fleet.ID
	for _, c := range campaigns {
		lines, err := s.Lines(t.Context(), c.ID, rollout.Job{}, 1000)
		if err != nil || len(lines) != counted {
			t.Fatalf("Lines = %d, %v", len(lines), err)
		}
		want := map[int]rollout.Counts{}
		for _, l := range lines {
			if want[l.Wave] == nil {
				want[l.Wave] = rollout.Counts{}
			}
			want[l.Wave][l.Tally()]++
			if l.State.Open() {
				open = append(open, l.Device)
			}
		}
		wantCounts(t, s, c.ID, want)
	}
	slices.Sort(open)
	if n := len(open); n != len(slices.Compact(open)) {
		t.Fatalf("%d jobs are in hand, some of one device: %v", n, open)
	}
}
