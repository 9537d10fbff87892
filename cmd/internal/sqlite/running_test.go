package sqlite

import (
	"fmt"
	"testing"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/rollout"
)

// TestRunning follows the release that a device runs: the newest that a job of ours
// brought it, for as long as the device is ours.
func TestRunning(t *testing.T) {
	db := withDevices(t, "a", "b")
	s, at := db.Rollout(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	digest := suit.Digest{Algorithm: suit.SHA256, Value: make([]byte, 32)}
	for i, sequence := range []uint64{1, 3, 2} {
		r := rollout.Release{
			ID: fmt.Sprint("r", sequence), Sequence: sequence, Class: "c", Digest: digest,
			Manifest: [2]suit.Digest{digest, digest}, CreatedAt: at,
		}
		if err := s.AddRelease(t.Context(), r, rollout.Content{Push: []byte{1}}); err != nil {
			t.Fatal(err)
		}
		c := rollout.Campaign{
			ID: fmt.Sprint("c", i), Release: r.ID, Delivery: rollout.Push, State: rollout.CampaignTail, CreatedAt: at,
		}
		j := rollout.Job{Campaign: c.ID, Device: "a", State: rollout.Installing, UpdatedAt: at}
		if err := s.AddCampaign(t.Context(), c, []rollout.Job{j}); err != nil {
			t.Fatal(err)
		}
		done := j
		done.State, done.EndedAt = rollout.Done, at
		if stored, err := s.SetJob(t.Context(), j, done); err != nil || !stored {
			t.Fatalf("SetJob = %t, %v", stored, err)
		}
	}
	want := func(when string, counts ...int) {
		t.Helper()
		for i, n := range counts {
			if got, err := db.View().Running(t.Context(), fmt.Sprint("r", i+1)); err != nil || got != n {
				t.Errorf("%s: %d devices run r%d, %v; want %d", when, got, i+1, err, n)
			}
		}
	}
	own := func(o fleet.Ownership) {
		t.Helper()
		d := fleet.Device{ID: "a", Endpoint: "ep-a", Ownership: o, CreatedAt: at}
		if err := db.Devices().Put(t.Context(), d, "test", ""); err != nil {
			t.Fatal(err)
		}
	}
	want("after three updates, the last of an older one", 0, 0, 1)
	own(fleet.Left)
	want("after it left", 0, 0, 0)
	own(fleet.Owned)
	want("when it is back", 0, 0, 1)
}

// TestAuditByAction finds rows by how their action begins, newest first, over pages.
func TestAuditByAction(t *testing.T) {
	db := withDevices(t, "a", "b", "c") // writes three rows
	for i := range 7 {
		action := []string{"x.one", "x.two", "y.one"}[i%3]
		if err := db.Audit(t.Context(), auditRow(action, fmt.Sprint("actor", i%2))); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		q    AuditQuery
		want string
	}{
		{AuditQuery{Action: "x."}, "[10 8 7 5 4]"},
		{AuditQuery{Action: "x.", Limit: 2}, "[10 8]"},
		{AuditQuery{Action: "x.", Before: 8}, "[7 5 4]"},
		{AuditQuery{Action: "x.two"}, "[8 5]"},
		{AuditQuery{Action: "x.twos"}, "[]"},
		{AuditQuery{Action: "z"}, "[]"},
		{AuditQuery{Actor: "actor1"}, "[9 7 5]"},
		{AuditQuery{Actor: "actor1", Action: "x."}, "[7 5]"},
		{AuditQuery{Actor: "nobody"}, "[]"},
		{AuditQuery{Subject: "s", Action: "y"}, "[9 6]"},
		{AuditQuery{Subject: "s", Action: "y", Actor: "actor1"}, "[9]"},
	} {
		if c.q.Limit == 0 {
			c.q.Limit = 50
		}
		rows, err := db.View().AuditRows(t.Context(), c.q)
		ids := []int64{}
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
		if got := fmt.Sprint(ids); err != nil || got != c.want {
			t.Errorf("%+v = %s, %v; want %s", c.q, got, err, c.want)
		}
	}
}

func auditRow(action, actor string) audit.Row {
	return audit.Row{Actor: actor, Action: action, Subject: "s", At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}
