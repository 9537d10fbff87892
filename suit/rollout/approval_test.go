package rollout_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/lwm2m/machine/machinetest"
	"steward/suit/rollout"
)

func TestReleaseTable(t *testing.T) {
	if err := rollout.ReleaseTable.Check(rollout.ReleaseDraft, rollout.ReleaseWithdrawn); err != nil {
		t.Error(err)
	}
	machinetest.Golden(t, "testdata/release.mmd", rollout.ReleaseTable.Mermaid(rollout.ReleaseDraft), *update)
}

// TestWithdrawn checks that a device gets nothing of a release that was
// withdrawn after its campaign began.
func TestWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &device{fetched: staged, update: success, offline: 5}
		w := newWorld(t, rollout.RunnerOptions{}, map[fleet.ID]*device{"a": d})
		w.start(rollout.Draft{})
		time.Sleep(time.Second) // of the bubble's clock
		decision := rollout.Decision{On: rollout.WithdrawRelease, To: rollout.ReleaseWithdrawn}
		if err := w.store.DecideRelease(t.Context(), "r", rollout.ReleaseApproved, decision); err != nil {
			t.Fatal(err)
		}
		w.Wake("")
		time.Sleep(time.Hour)
		w.kill()
		if j := w.job("a"); j.State != rollout.Aborted || len(d.writes) != 0 || d.executed != 0 {
			t.Errorf("a device of a withdrawn release: job %+v, %d writes, %d executed", j, len(d.writes), d.executed)
		}
		if c := w.campaign(); c.State != rollout.CampaignAborted {
			t.Errorf("its campaign is %s, want aborted", c.State)
		}
	})
}

func TestDecide(t *testing.T) {
	const author, other = "operator:alice", "operator:bob"
	draft, approved, withdrawn := rollout.ReleaseDraft, rollout.ReleaseApproved, rollout.ReleaseWithdrawn
	tests := []struct {
		name   string
		state  rollout.ReleaseState
		on     rollout.ReleaseEvent
		by     string
		people int
		want   rollout.ReleaseState
		err    error
	}{
		{"another person", draft, rollout.ApproveRelease, other, 2, approved, nil},
		{"nobody else is there", draft, rollout.ApproveRelease, author, 1, approved, nil},
		{"by a program, nobody is signed in", draft, rollout.ApproveRelease, author, 0, approved, nil},
		{"own release", draft, rollout.ApproveRelease, author, 2, "", rollout.ErrApprover},
		{"own release, withdrawn", draft, rollout.WithdrawRelease, author, 2, withdrawn, nil},
		{"withdrawn later", approved, rollout.WithdrawRelease, other, 2, withdrawn, nil},
		{"twice", approved, rollout.ApproveRelease, other, 2, "", rollout.ErrDecided},
		{"back again", withdrawn, rollout.ApproveRelease, other, 2, "", rollout.ErrDecided},
		{"no decision", draft, "like", other, 2, "", rollout.ErrDecided},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rollout.Release{State: tt.state, CreatedBy: author}
			d, err := r.Decide(tt.on, tt.by, "why", tt.people, time.UnixMicro(1))
			if d.To != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Decide(%s by %s of %d) = %q, %v; want %q, %v", tt.on, tt.by, tt.people, d.To, err, tt.want, tt.err)
			}
		})
	}
}

func TestDeliverable(t *testing.T) {
	for state, want := range map[rollout.ReleaseState]error{
		rollout.ReleaseApproved: nil, rollout.ReleaseDraft: rollout.ErrUnapproved,
		rollout.ReleaseWithdrawn: rollout.ErrUnapproved, "": rollout.ErrUnapproved,
	} {
		if err := (rollout.Release{State: state}).Deliverable(); !errors.Is(err, want) {
			t.Errorf("Deliverable of %q = %v, want %v", state, err, want)
		}
	}
}
