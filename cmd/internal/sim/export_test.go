package sim

import (
	"steward/cmd/internal/sim/nvm"
	"steward/suit"
	"steward/suit/process"
)

// NewTarget makes a target for the suite of package processtest.
func NewTarget(nv *nvm.File, components ...suit.ComponentID) process.Target {
	return &target{nv: nv, components: components}
}
