package rolltest_test

import (
	"testing"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
	"steward/suit/rollout/rolltest"
)

func TestMemoryStore(t *testing.T) {
	rolltest.TestStore(t, func(*testing.T, ...fleet.ID) rollout.Store { return &rolltest.Store{} })
	rolltest.TestReports(t, func(*testing.T, ...fleet.ID) rollout.ReportStore { return &rolltest.Reports{} })
	rolltest.TestContents(t, func(*testing.T) rolltest.ContentStore { return &rolltest.Store{} })
}
