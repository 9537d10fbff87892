package rolltest

import (
	"errors"
	"maps"
	"reflect"
	"testing"
	"time"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
)

// campaign returns one that is drafted, with a plan that has a bit of everything.
func campaign(id string) rollout.Campaign {
	three := 3
	return rollout.Campaign{
		ID: id, Name: "n" + id, Release: "01", Delivery: rollout.Push, Size: 2, State: rollout.CampaignDraft, Since: at,
		Plan: rollout.Plan{
			Rates: rollout.Rates{Concurrent: 5, Ramp: &rollout.Ramp{From: 1, Factor: 2, Every: 10}},
			Retry: rollout.RetryMatrix{4: {Tries: 2, Backoff: 60}, rollout.CodeOther: {}},
			Waves: []rollout.WaveSpec{{Count: 1, Canary: true, Gate: rollout.Gate{MaxFailures: &three, Soak: 60}}},
			Windows: rollout.Windows{Install: []rollout.Window{
				{Days: []time.Weekday{time.Monday}, From: "22:00", To: "04:00"},
			}, Zone: "+01:00"},
			Filter: &rollout.Filter{Model: "m"}, Start: at.Add(time.Hour), TailGate: rollout.Gate{MaxFailures: &three},
		},
		Waves: []rollout.Wave{
			{Spec: rollout.WaveSpec{Count: 1, Canary: true}, Size: 1, State: rollout.WavePending},
			{Size: 1, State: rollout.WavePending},
		},
		CreatedAt: at, CreatedBy: "x",
	}
}

func planned(campaign string, wave int, devices ...fleet.ID) (jobs []rollout.Job) {
	for i, d := range devices {
		jobs = append(jobs, rollout.Job{
			Campaign: campaign, Device: d, Position: i, Wave: wave, State: rollout.Planned, Due: at, UpdatedAt: at,
		})
	}
	return jobs
}

// add stores a release once, and a campaign of it with jobs.
func add(t *testing.T, s rollout.Store, c rollout.Campaign, jobs []rollout.Job) {
	t.Helper()
	if _, err := s.Release(t.Context(), c.Release); errors.Is(err, rollout.ErrUnknown) {
		if err := s.AddRelease(t.Context(), release(c.Release, 5), rollout.Content{Push: []byte{1}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddCampaign(t.Context(), c, jobs); err != nil {
		t.Fatal(err)
	}
}

// change stores c with a state and effects, and returns it as stored.
func change(t *testing.T, s rollout.Store, c rollout.Campaign, to rollout.CampaignState, left int,
	do ...rollout.CampaignEffect,
) rollout.Campaign {
	t.Helper()
	ch := rollout.Change{Actor: "x", Reason: "why", Before: c.State, Do: do, Left: left, At: at.Add(time.Second)}
	c.State, c.Reason = to, "why"
	if err := s.SetCampaign(t.Context(), c, ch); err != nil {
		t.Fatal(err)
	}
	c.Version++
	return c
}

func testCampaigns(t *testing.T, s rollout.Store) {
	t.Helper()
	ctx := t.Context()
	c := campaign("c1")
	add(t, s, c, planned("c1", 0, "a", "b"))
	if got, err := s.Campaign(ctx, "c1"); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("Campaign = %+v, %v\nwant %+v", got, err, c)
	}
	if _, err := s.Campaign(ctx, "x"); !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("Campaign(x) = %v, want ErrUnknown", err)
	}
	other := campaign("c2")
	other.Plan.Retry = rollout.RetryMatrix{} // none is not the default
	add(t, s, other, nil)
	if got, err := s.Campaign(ctx, "c2"); err != nil || got.Plan.Retry == nil {
		t.Errorf("a plan without retries came back as %+v, %v", got.Plan, err)
	}
	if got, err := s.ListCampaigns(ctx, "c2", 9); err != nil || len(got) != 1 || got[0].ID != "c1" {
		t.Errorf("ListCampaigns = %+v, %v", got, err)
	}
	old := c
	c.Waves[0].State, c.Wave, c.TailAt, c.Closing = rollout.WavePassed, 1, at, true
	c.TailWaived = rollout.Counts{"away": 2}
	c.Waves[0].Waived = rollout.Counts{"failed": 1}
	c = change(t, s, c, rollout.CampaignWaves, 0)
	if got, err := s.Campaign(ctx, "c1"); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("Campaign after a change = %+v, %v\nwant %+v", got, err, c)
	}
	if err := s.SetCampaign(ctx, old, rollout.Change{At: at}); !errors.Is(err, rollout.ErrMoved) {
		t.Errorf("SetCampaign of an old version = %v, want ErrMoved", err)
	}
	old.ID = "x"
	if err := s.SetCampaign(ctx, old, rollout.Change{At: at}); !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("SetCampaign(x) = %v, want ErrUnknown", err)
	}
	change(t, s, c, rollout.CampaignDone, 0)
	if got, err := s.Unfinished(ctx); err != nil || len(got) != 1 || got[0].ID != "c2" {
		t.Errorf("Unfinished = %+v, %v; want c2", got, err)
	}
}

// testEffects leaves a wave and aborts a campaign.
func testEffects(t *testing.T, s rollout.Store) {
	t.Helper()
	ctx := t.Context()
	c := campaign("c1")
	add(t, s, c, planned("c1", 0, "a", "b", "c", "d"))
	started, _, err := s.StartJobs(ctx, c, 0, 3, at)
	if err != nil || len(started) != 3 {
		t.Fatalf("StartJobs = %+v, %v", started, err)
	}
	away := set(t, s, started[0], func(j *rollout.Job) { j.Aside, j.Due = rollout.Away, at.Add(time.Hour) })
	set(t, s, started[1], func(j *rollout.Job) { j.State, j.Due = rollout.Installing, at.Add(time.Hour) })
	c = change(t, s, c, rollout.CampaignWaves, 0, rollout.MoveAside, rollout.WakeJobs)
	wantCounts(t, s, "c1", map[int]rollout.Counts{
		0: {"queued": 1, "installing": 1, "planned": 1}, 2: {"away": 1},
	})
	open, err := s.OpenJobs(ctx, "c1", "", 9)
	if err != nil || len(open) != 3 || open[0].Wave != 2 || open[0].Version == away.Version ||
		!open[0].Due.Equal(at.Add(time.Hour)) || !open[1].Due.Equal(at.Add(time.Second)) {
		t.Errorf("OpenJobs = %+v, %v; want the one away in the tail, the others woken", open, err)
	}
	if ok, err := s.SetJob(ctx, away, away); err != nil || ok {
		t.Errorf("SetJob of a job that moved = %v, %v; want false", ok, err)
	}
	change(t, s, c, rollout.CampaignAborting, 0, rollout.AbortJobs)
	wantCounts(t, s, "c1", map[int]rollout.Counts{0: {"aborted": 2, "installing": 1}, 2: {"aborted": 1}})
	lines, err := s.Lines(ctx, "c1", rollout.Job{}, 9)
	if err != nil || len(lines) != 4 || lines[0].Reason != "why" || lines[0].EndedAt.IsZero() || lines[0].Aside != "" {
		t.Errorf("Lines after the abortion = %+v, %v", lines, err)
	}
}

// wantCounts compares the counts that are kept with those wanted.
func wantCounts(t *testing.T, s rollout.Store, campaign string, want map[int]rollout.Counts) {
	t.Helper()
	got, err := s.Counts(t.Context(), campaign)
	if err != nil || !maps.EqualFunc(got, want, maps.Equal) {
		t.Errorf("Counts(%s) = %v, %v; want %v", campaign, got, err, want)
	}
}

// set changes a job and returns it as stored.
func set(t *testing.T, s rollout.Store, j rollout.Job, f func(*rollout.Job)) rollout.Job {
	t.Helper()
	before := j
	f(&j)
	if ok, err := s.SetJob(t.Context(), before, j); err != nil || !ok {
		t.Fatalf("SetJob(%+v) = %v, %v", j, ok, err)
	}
	j.Version++
	return j
}
