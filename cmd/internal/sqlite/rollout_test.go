package sqlite

import (
	"reflect"
	"testing"

	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/rollout"
	"steward/suit/rollout/rolltest"
)

func TestRolloutStore(t *testing.T) {
	rolltest.TestStore(t, func(t *testing.T, devices ...fleet.ID) rollout.Store {
		t.Helper()
		return withDevices(t, devices...).Rollout()
	})
	rolltest.TestReports(t, func(t *testing.T, devices ...fleet.ID) rollout.ReportStore {
		t.Helper()
		return withDevices(t, devices...).Rollout()
	})
	rolltest.TestContents(t, func(t *testing.T) rolltest.ContentStore {
		t.Helper()
		return withDevices(t).Rollout()
	})
}

// TestInstalledOfAHandOver checks that sequence numbers which came with a device
// count, also beside those of own updates.
func TestInstalledOfAHandOver(t *testing.T) {
	s := withDevices(t, "a", "b").Rollout()
	digest := suit.Digest{Algorithm: suit.SHA256, Value: make([]byte, 32)}
	brought := []rollout.Installed{{Digest: digest, Sequence: 41}}
	for range 2 { // told again
		if err := s.AddInstalled(t.Context(), "a", brought, "peer:Alpha"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Installed(t.Context(), "a")
	if err != nil || !reflect.DeepEqual(got, brought) {
		t.Errorf("Installed = %+v, %v, want %+v", got, err, brought)
	}
	if got, err := s.Installed(t.Context(), "b"); err != nil || len(got) != 0 {
		t.Errorf("Installed of another device = %+v, %v", got, err)
	}
}
