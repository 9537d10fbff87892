package sqlite

import (
	"fmt"
	"testing"
	"time"

	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/rollout"
)

// TestReplaceInCampaigns: only what has not begun moves to the replacement, and not into
// a campaign that it is in already.
func TestReplaceInCampaigns(t *testing.T) {
	db, ctx := withDevices(t, "old", "new"), t.Context()
	manifest := func(n uint64) rollout.Installed {
		d := suit.Digest{Algorithm: suit.SHA256, Value: make([]byte, 32)}
		d.Value[0] = byte(n)
		return rollout.Installed{Digest: d, Sequence: n}
	}
	s := db.Rollout()
	inCampaign(t, s, rollout.Planned, manifest(1), "old")
	inCampaign(t, s, rollout.Done, manifest(2), "old")
	inCampaign(t, s, rollout.Planned, manifest(3), "old", "new")
	r := Replacement{Old: "old", New: "new", At: time.Unix(1e9, 0), Actor: "x", Reason: "y"}
	if err := db.Devices().Replace(ctx, r, 9); err != nil {
		t.Fatal(err)
	}
	for campaign, want := range map[string]string{"c1": "[new]", "c2": "[old]", "c3": "[new old]"} {
		lines, err := s.Lines(ctx, campaign, rollout.Job{}, 9)
		if err != nil {
			t.Fatal(err)
		}
		got := []fleet.ID{}
		for _, l := range lines {
			got = append(got, l.Device)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s is for %v, want %s", campaign, got, want)
		}
	}
}
