package roundstest_test

import (
	"testing"
	"time"

	"steward/est/attest/rounds/roundstest"
	"steward/lwm2m/fleet"
)

func TestMemory(t *testing.T) {
	s := &roundstest.Store{}
	roundstest.TestStore(t, roundstest.World{
		Store: s, Device: func(_ *testing.T, id fleet.ID, every time.Duration) { s.Want(id, every) },
	})
}
