package trial

import (
	"sync"
	"time"

	"steward/cmd/internal/sim"
)

// An air is what datagrams pass on their way: it loses some, doubles some, and
// carries nothing to a device whose radio is off.
type air struct {
	loss, duplicate float64
	window          time.Duration  // that the radio stays on after traffic; 0: always
	random          func() float64 // in [0, 1)
	event           func(sim.Event)

	mu    sync.Mutex
	until time.Time // the radio is on
}

// out returns how often a datagram of the device arrives. Sending turns the radio
// on.
func (a *air) out() int {
	if a.window > 0 {
		a.mu.Lock()
		a.until = time.Now().Add(a.window)
		a.mu.Unlock()
	}
	if a.random() < a.loss {
		return 0
	}
	if a.random() < a.duplicate {
		return 2
	}
	return 1
}

// in reports whether a datagram reaches the device.
func (a *air) in() bool {
	if a.window > 0 {
		a.mu.Lock()
		now := time.Now()
		awake := now.Before(a.until)
		if awake {
			a.until = now.Add(a.window)
		}
		a.mu.Unlock()
		if !awake {
			a.event(sim.Event{Kind: Asleep, Detail: "a datagram was lost"})
			return false
		}
	}
	return a.random() >= a.loss
}

// changes reports whether the air does anything.
func (a *air) changes() bool { return a.loss > 0 || a.duplicate > 0 || a.window > 0 }
