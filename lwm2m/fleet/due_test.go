package fleet_test

import (
	"testing"
	"time"

	"steward/lwm2m/fleet"
)

func TestDueQueue(t *testing.T) {
	var q fleet.DueQueue
	if _, _, ok := q.First(); ok {
		t.Error("an empty queue has a first")
	}
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, minute := range []int{7, 3, 9, 1, 3} {
		q.Add(fleet.ID(rune('a'+minute)), start.Add(time.Duration(minute)*time.Minute))
	}
	for _, minute := range []int{1, 3, 3, 7, 9} {
		device, at, ok := q.First()
		if !ok || device != fleet.ID(rune('a'+minute)) || !at.Equal(start.Add(time.Duration(minute)*time.Minute)) {
			t.Errorf("first = %q at %v, %v, want minute %d", device, at, ok, minute)
		}
		q.Drop()
	}
	if _, _, ok := q.First(); ok {
		t.Error("there is more than was added")
	}
}
