package sqlite

import (
	"testing"

	"steward/lwm2m/fleet"
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
