package servertest_test

import (
	"testing"

	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
)

func TestMemoryStore(t *testing.T) {
	servertest.TestStore(t, func(*testing.T, ...fleet.ID) server.Store { return &servertest.Store{} })
}
