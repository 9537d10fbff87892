package rollout_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
)

func TestDraftRefused(t *testing.T) {
	window := func(from, to rollout.Clock) rollout.Plan {
		return rollout.Plan{Windows: rollout.Windows{Install: []rollout.Window{{From: from, To: to}}}}
	}
	tests := []struct {
		name  string
		draft rollout.Draft
		plan  rollout.Plan
		err   error
	}{
		{"no such release", rollout.Draft{Release: "x"}, rollout.Plan{}, rollout.ErrUnknown},
		{"release not approved", rollout.Draft{Release: "new"}, rollout.Plan{}, rollout.ErrUnapproved},
		{"delivery", rollout.Draft{Delivery: "post"}, rollout.Plan{}, rollout.ErrCampaign},
		{"nobody", rollout.Draft{Devices: []fleet.ID{}}, rollout.Plan{}, rollout.ErrCampaign},
		{"negative rate", rollout.Draft{}, rollout.Plan{Rates: rollout.Rates{Concurrent: -1}}, rollout.ErrCampaign},
		{"ramp down", rollout.Draft{}, rollout.Plan{Rates: rollout.Rates{
			Ramp: &rollout.Ramp{From: 1, Factor: 0.5, Every: 1},
		}}, rollout.ErrCampaign},
		{"negative time", rollout.Draft{}, rollout.Plan{Timeout: -1}, rollout.ErrCampaign},
		{"battery", rollout.Draft{}, rollout.Plan{Needs: rollout.Conditions{Battery: 101}}, rollout.ErrCampaign},
		{"time of day", rollout.Draft{}, window("25:00", "04:00"), rollout.ErrCampaign},
		{"no time", rollout.Draft{}, window("04:00", "04:00"), rollout.ErrCampaign},
		{"time zone", rollout.Draft{}, rollout.Plan{Windows: rollout.Windows{Zone: "Moon/Tycho"}}, rollout.ErrCampaign},
		{"tries", rollout.Draft{}, rollout.Plan{Retry: rollout.RetryMatrix{4: {Tries: 101}}}, rollout.ErrCampaign},
		{"takes back what is newer", rollout.Draft{}, rollout.Plan{RollsBack: "r3"}, rollout.ErrCampaign},
		{"takes back what is unknown", rollout.Draft{}, rollout.Plan{RollsBack: "x"}, rollout.ErrUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, rollout.RunnerOptions{}, good(1))
				w.release("r3", 3)
				err := w.store.AddRelease(t.Context(), rollout.Release{ID: "new", State: rollout.ReleaseDraft}, rollout.Content{})
				if err != nil {
					t.Fatal(err)
				}
				d := tt.draft
				d.ID, d.By, d.Plan = "c", "ann", tt.plan
				if d.Release == "" {
					d.Release = "r"
				}
				if d.Delivery == "" {
					d.Delivery = rollout.Push
				}
				if d.Devices == nil {
					d.Devices = []fleet.ID{"d000"}
				}
				if _, err := w.Draft(t.Context(), d); !errors.Is(err, tt.err) {
					t.Errorf("Draft = %v, want %v", err, tt.err)
				}
				if _, err := w.store.Campaign(t.Context(), "c"); !errors.Is(err, rollout.ErrUnknown) {
					t.Errorf("a refused draft left a campaign: %v", err)
				}
			})
		})
	}
}

// TestRollBack takes a release back by one of a higher sequence number.
func TestRollBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{}, good(1))
		w.release("r3", 3)
		w.start(rollout.Draft{Release: "r3", Plan: rollout.Plan{RollsBack: "r"}})
		if r, err := w.Report(t.Context(), "c"); err != nil || r.RollsBack != "r" || r.Sequence != 3 {
			t.Errorf("Report = %+v, %v", r, err)
		}
	})
}

// TestIncompleteDraft checks that a draft whose devices were not all stored is
// never submitted.
func TestIncompleteDraft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{}, good(1200))
		writes := 0
		w.store.FailBy(func() error {
			if writes++; writes == 2 {
				return errKilled
			}
			return nil
		})

		d := rollout.Draft{ID: "c", Release: "r", Delivery: rollout.Push, Snapshot: &rollout.Filter{}, By: "ann"}
		if _, err := w.Draft(t.Context(), d); !errors.Is(err, errKilled) {
			t.Fatalf("Draft = %v", err)
		}
		_, err := w.Do(t.Context(), rollout.Submit, rollout.Command{ID: "c", Actor: "ann"})
		if !errors.Is(err, rollout.ErrCampaign) {
			t.Errorf("Submit of a draft with 500 of 1200 devices = %v, want ErrCampaign", err)
		}
	})
}

func TestPreview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rollout.RunnerOptions{}, nil)
		w.store.Know(
			rollout.Candidate{Device: "a", Ownership: fleet.Owned, Model: "m", Registered: true, Version: "1.0"},
			rollout.Candidate{Device: "b", Ownership: fleet.Owned, Model: "m"},
			rollout.Candidate{Device: "c", Ownership: fleet.Owned, Model: "m", Registered: true, Version: "2.0"},
			rollout.Candidate{Device: "d", Ownership: fleet.Left, Model: "m"},
			rollout.Candidate{Device: "e", Ownership: fleet.Owned, Model: "x", Registered: true},
		)
		want := map[fleet.ID]string{
			"a": "ready", "b": "not registered now: joins the tail if it is not back in time", "c": "runs 2.0 already",
			"d": "was handed over to another provider",
		}
		got, err := w.Preview(t.Context(), "r", nil, rollout.Filter{Model: "m"}, "", 10)
		if err != nil || len(got) != len(want) {
			t.Fatalf("Preview = %+v, %v", got, err)
		}
		for _, p := range got {
			if p.Reason != want[p.Device] || p.In != (p.Device < "c") {
				t.Errorf("%s: %v, %q; want %q", p.Device, p.In, p.Reason, want[p.Device])
			}
		}
		if got, err = w.Preview(t.Context(), "r", []fleet.ID{"e", "nobody"}, rollout.Filter{}, "", 0); err != nil ||
			len(got) != 1 || !got[0].In {
			t.Errorf("Preview of two ids = %+v, %v", got, err)
		}
	})
}

func TestCommands(t *testing.T) {
	for state, want := range map[rollout.CampaignState]int{
		rollout.CampaignDraft: 2, rollout.CampaignReview: 3, rollout.CampaignPaused: 2, rollout.CampaignTail: 3,
		rollout.CampaignDone: 0,
	} {
		if got := rollout.Commands(state); len(got) != want {
			t.Errorf("Commands(%s) = %v, want %d", state, got, want)
		}
	}
}
