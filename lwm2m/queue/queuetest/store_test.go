package queuetest_test

import (
	"testing"

	"steward/lwm2m/fleet"
	"steward/lwm2m/queue"
	"steward/lwm2m/queue/queuetest"
)

func TestMemoryStore(t *testing.T) {
	queuetest.TestStore(t, func(*testing.T, ...fleet.ID) queue.Store { return &queuetest.Store{} })
}
