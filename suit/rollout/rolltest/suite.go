package rolltest

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/rollout"
)

var at = time.UnixMicro(1_700_000_000_000_000).UTC()

func release(id string, sequence uint64) rollout.Release {
	d := suit.Digest{Algorithm: suit.SHA256, Value: make([]byte, 32)}
	return rollout.Release{
		ID: id, Name: "r" + id, Version: "2.0", Sequence: sequence, Vendor: "v", Class: "c", Digest: d,
		Manifest: [2]suit.Digest{d, d}, Size: 3, Signer: "aa", Images: []string{"00"}, CreatedAt: at, CreatedBy: "x",
		State: rollout.ReleaseDraft,
	}
}

// TestStore checks that a Store keeps the promises of rollout.Store. open returns
// an empty one in which devices a and b exist.
func TestStore(t *testing.T, open func(t *testing.T, devices ...fleet.ID) rollout.Store) {
	t.Helper()
	t.Run("releases", func(t *testing.T) { testReleases(t, open(t)) })
	t.Run("decisions", func(t *testing.T) { testDecisions(t, open(t)) })
	t.Run("campaigns", func(t *testing.T) { testCampaigns(t, open(t, "a", "b")) })
}

func testReleases(t *testing.T, s rollout.Store) {
	t.Helper()
	ctx := t.Context()
	want := rollout.Content{Push: []byte("push"), Image: []byte("img")}
	sequences := []uint64{7, 6, 5}
	for i, id := range []string{"01", "02", "03"} {
		if err := s.AddRelease(ctx, release(id, sequences[i]), want); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Release(ctx, "02"); err != nil || !reflect.DeepEqual(got, release("02", 6)) {
		t.Errorf("Release = %+v, %v", got, err)
	}
	if got, err := s.Content(ctx, "02"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Content = %+v, %v", got, err)
	}
	if n, err := s.Newest(ctx, "c"); err != nil || n != 7 {
		t.Errorf("Newest = %d, %v; want 7", n, err)
	}
	if n, err := s.Newest(ctx, "other"); err != nil || n != 0 {
		t.Errorf("Newest of no release = %d, %v", n, err)
	}
	if got, err := s.ListReleases(ctx, "03", 1); err != nil || len(got) != 1 || got[0].ID != "02" {
		t.Errorf("ListReleases = %+v, %v", got, err)
	}
	if _, err := s.Release(ctx, "x"); !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("Release(x) = %v", err)
	}
	if _, err := s.Content(ctx, "x"); !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("Content(x) = %v", err)
	}
}

func testCampaigns(t *testing.T, s rollout.Store) {
	t.Helper()
	ctx := t.Context()
	if err := s.AddRelease(ctx, release("01", 5), rollout.Content{Push: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	c := rollout.Campaign{
		ID: "c1", Name: "n", Release: "01", Delivery: rollout.Push, State: rollout.Running, CreatedAt: at, CreatedBy: "x",
	}
	jobs := []rollout.Job{
		{Campaign: "c1", Device: "a", State: rollout.Queued, Due: at, UpdatedAt: at},
		{Campaign: "c1", Device: "b", State: rollout.Queued, Due: at.Add(time.Hour), UpdatedAt: at},
	}
	if err := s.AddCampaign(ctx, c, jobs); err != nil {
		t.Fatal(err)
	}
	second := c
	second.ID = "c2"
	again := []rollout.Job{{Campaign: "c2", Device: "a", State: rollout.Queued, Due: at, UpdatedAt: at}}
	if err := s.AddCampaign(ctx, second, again); !errors.Is(err, rollout.ErrBusy) {
		t.Errorf("AddCampaign of a busy device = %v, want ErrBusy", err)
	}
	got, list, err := s.Campaign(ctx, "c1")
	if err != nil || !reflect.DeepEqual(got, c) || !reflect.DeepEqual(list, jobs) {
		t.Errorf("Campaign = %+v, %+v, %v", got, list, err)
	}
	due, err := s.Due(ctx, at, 10)
	if err != nil || len(due) != 1 || due[0].Device != "a" {
		t.Fatalf("Due = %+v, %v", due, err)
	}
	testJob(t, s, due[0])
	if err := s.SetCampaign(ctx, "c1", rollout.Running, rollout.Stopped, "x", "y"); err != nil {
		t.Fatal(err)
	}
	if err := s.SetCampaign(ctx, "c1", rollout.Running, rollout.Ended, "x", "y"); !errors.Is(err, rollout.ErrEnded) {
		t.Errorf("SetCampaign of a stopped one = %v, want ErrEnded", err)
	}
	if due, err := s.Due(ctx, at.Add(2*time.Hour), 10); err != nil || len(due) != 0 {
		t.Errorf("Due of a stopped campaign = %+v, %v", due, err)
	}
}

func testJob(t *testing.T, s rollout.Store, j rollout.Job) {
	t.Helper()
	ctx := t.Context()
	if got, err := s.OfDevice(ctx, "a"); err != nil || got.Campaign != "c1" {
		t.Errorf("OfDevice = %+v, %v", got, err)
	}
	if got, err := s.Installed(ctx, "a"); err != nil || len(got) != 0 {
		t.Errorf("Installed before = %+v, %v", got, err)
	}
	done := j
	done.State, done.Reason, done.Result = rollout.Done, "well", 1
	if ok, err := s.SetJob(ctx, done, rollout.Queued); err != nil || !ok {
		t.Fatalf("SetJob = %v, %v", ok, err)
	}
	if ok, err := s.SetJob(ctx, j, rollout.Queued); err != nil || ok {
		t.Errorf("SetJob of an old version = %v, %v; want false", ok, err)
	}
	if _, err := s.OfDevice(ctx, "a"); !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("OfDevice after the end = %v, want ErrUnknown", err)
	}
	if got, err := s.Installed(ctx, "a"); err != nil || len(got) != 1 || got[0].Sequence != 5 {
		t.Errorf("Installed = %+v, %v", got, err)
	}
}
