package coordinator

import (
	"context"
	"fmt"
	"sync"
)

// waves are the shares of a transfer's devices, in percent, that may have been told
// to commit in each wave (transfer protocol §7). A wave of less than one device is
// none.
var waves = [...]int{1, 10, 100}

// allowed returns how many of so many devices may have left in the present wave.
func (t Transfer) allowed(rows int) int {
	const percent = 100
	if t.Wave >= len(waves) {
		return rows
	}
	return rows * waves[t.Wave] / percent
}

// widen goes on to the next wave where all devices of the present one have arrived,
// come to another end, or are unheard of: one that is switched off for a year holds
// nobody up. Whether too many failed was decided before.
func (t *Transfer) widen(n tally) bool {
	before := t.Wave
	for t.Wave < len(waves)-1 && n.left >= t.allowed(n.rows) && n.away == n.silent {
		t.Wave++
		if t.allowed(n.rows) > n.left {
			break
		}
	}
	return t.Wave != before
}

// accept has commits go on whatever failed until now.
func (t *Transfer) accept(n tally) { t.Tolerated, t.ToleratedLost = n.failed, n.lost }

// heal takes back what was accepted of devices that have arrived after all: another that
// fails is one that nobody has seen.
func (t *Transfer) heal(n tally) {
	t.Tolerated, t.ToleratedLost = min(t.Tolerated, n.failed), min(t.ToleratedLost, n.lost)
}

// tolerable reports whether no more devices than failurePercent of those that may
// have left by now have failed after their commit, and of all at all, beside
// those that somebody has accepted.
func (t Transfer) tolerable(n tally) bool {
	const percent = 100
	allowed := t.allowed(n.rows)
	return (n.failed-t.Tolerated)*percent <= failurePercent*n.rows &&
		(allowed == 0 || (n.lost-t.ToleratedLost)*percent <= failurePercent*allowed)
}

// slots are the devices that are told to commit at this moment, and not stored as
// told: with those stored they must not be more than the wave allows.
type slots struct {
	mu    sync.Mutex
	taken map[string]map[string]bool // transfer → rows
}

func (s *slots) release(id, row string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken[id], row)
	if len(s.taken[id]) == 0 {
		delete(s.taken, id)
	}
}

// takeSlot reports whether the wave of the transfer has room for a row, and gives it
// to that row until the end of its step.
func (c *Coordinator) takeSlot(ctx context.Context, s *step) (bool, error) {
	if s.t.Wave >= len(waves)-1 {
		return true, nil
	}
	c.slots.mu.Lock()
	defer c.slots.mu.Unlock()
	n, err := c.tally(ctx, s.t.ID)
	if err != nil {
		return false, err
	}
	taken := c.slots.taken[s.t.ID]
	if allowed := s.t.allowed(n.rows); n.left+len(taken) >= allowed {
		s.row.Reason = fmt.Sprintf("waits for the first %d of %d devices", allowed, n.rows)
		return false, nil
	}
	if taken == nil {
		taken = map[string]bool{}
		c.slots.taken[s.t.ID] = taken
	}
	taken[s.row.Short] = true
	return true, nil
}
