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
// an empty one in which the devices exist.
func TestStore(t *testing.T, open func(t *testing.T, devices ...fleet.ID) rollout.Store) {
	t.Helper()
	t.Run("releases", func(t *testing.T) { testReleases(t, open(t)) })
	t.Run("decisions", func(t *testing.T) { testDecisions(t, open(t)) })
	t.Run("campaigns", func(t *testing.T) { testCampaigns(t, open(t, "a", "b")) })
	t.Run("jobs", func(t *testing.T) { testJobs(t, open(t, "a", "b")) })
	t.Run("effects", func(t *testing.T) { testEffects(t, open(t, "a", "b", "c", "d")) })
	t.Run("blocked", func(t *testing.T) { testBlocked(t, open(t, "a", "b")) })
	t.Run("late", func(t *testing.T) { testLate(t, open(t, "a", "b", "c")) })
	t.Run("counts", func(t *testing.T) { testCounts(t, open(t, fleetOf(counted)...)) })
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
