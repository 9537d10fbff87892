package sim

import (
	"time"

	"steward/cmd/internal/sim/nvm"
	"steward/suit"
	"steward/suit/process"
)

// NewTarget makes a target for the suite of package processtest.
func NewTarget(nv *nvm.File, components ...suit.ComponentID) process.Target {
	return &target{nv: nv, components: components}
}

// SavedAfter counts a message of each phase, as if counters had just been saved, and
// returns after how long they are saved again.
func SavedAfter(path string, phases ...string) time.Duration {
	c := openCounters(path)
	c.save()
	for _, of := range phases {
		c.add("host", of, func(one *Count) { one.SentMessages++ })
	}
	due := c.saveSometimes(c.saved)
	if due.IsZero() {
		return 0
	}
	return due.Sub(c.saved)
}

// Loses returns what decides of the datagrams of a device.
func Loses(o Options) func(sent bool) bool { return newEther(&o).lost }
