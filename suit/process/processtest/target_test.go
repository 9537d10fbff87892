package processtest_test

import (
	"testing"

	"steward/suit"
	"steward/suit/process"
	"steward/suit/process/processtest"
)

func TestMemoryTarget(t *testing.T) {
	t.Parallel()
	processtest.TestTarget(t, func(*testing.T) processtest.Fixture {
		f := processtest.Fixture{Component: suit.ComponentPath("fw"), Other: suit.ComponentPath("staging")}
		components := map[suit.ComponentID]process.Component{f.Component: {Capacity: 64}, f.Other: {Capacity: 64}}
		disk := processtest.NewDisk()
		f.Open = func(*testing.T) process.Target { return processtest.Open(disk, components, nil) }
		return f
	})
}
