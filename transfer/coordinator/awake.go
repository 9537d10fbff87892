package coordinator

import (
	"context"
	"slices"

	"steward/transfer"
)

// awake is what rows were last woken for.
type awake struct {
	state  transfer.BatchState
	wave   int
	window transfer.Window
	told   transfer.Hash // what the partner was told of the devices, and has answered
}

// wakeRows wakes the rows of a transfer once in each state in which they have
// something to do that they did not have before.
func (c *Coordinator) wakeRows(ctx context.Context, t Transfer) {
	state := t.State
	if t.Paused {
		state = transfer.BatchArmed
	}
	switch state {
	case transfer.BatchOffered, transfer.BatchStaging, transfer.BatchSwitching, transfer.BatchPartial:
	default:
		return
	}
	c.mu.Lock()
	now := awake{state, t.Wave, t.Window, t.Info}
	if slices.Contains(t.Pending, transfer.BatchPostInfo) {
		now.told = transfer.Hash{}
	}
	known := c.seen[t.ID] == now
	c.seen[t.ID] = now
	c.mu.Unlock()
	if known {
		return
	}
	err := c.eachRow(ctx, t.ID, func(r Row) error {
		if !r.Ended() || len(r.Pending) > 0 {
			c.poked(rowKey(r.Transfer, r.Short))
		}
		return nil
	})
	c.logged(ctx, "waking devices", err)
}
