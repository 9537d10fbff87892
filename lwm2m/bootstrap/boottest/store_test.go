package boottest_test

import (
	"testing"

	"steward/lwm2m/bootstrap"
	"steward/lwm2m/bootstrap/boottest"
	"steward/lwm2m/fleet"
)

func TestMemoryStore(t *testing.T) {
	boottest.TestStore(t, func(*testing.T, ...fleet.ID) bootstrap.Store { return &boottest.Store{} })
}
