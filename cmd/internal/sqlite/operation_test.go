package sqlite

import (
	"testing"

	"steward/lwm2m/fleet"
	"steward/lwm2m/queue"
	"steward/lwm2m/queue/queuetest"
)

func TestOperations(t *testing.T) {
	queuetest.TestStore(t, func(t *testing.T, devices ...fleet.ID) queue.Store {
		t.Helper()
		return withDevices(t, devices...).Operations()
	})
}
