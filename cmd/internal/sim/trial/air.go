package trial

import "steward/cmd/internal/sim"

// An air is what datagrams pass on their way: it loses some, doubles some, and
// carries nothing to a device whose radio is off.
type air struct {
	loss, duplicate float64
	radio           sim.Radio
	random          func() float64 // in [0, 1)
	event           func(sim.Event)
}

// out returns how often a datagram of the device arrives.
func (a *air) out() int {
	a.radio.Off(true)
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
	if a.radio.Off(false) {
		a.event(sim.Event{Kind: Asleep, Detail: "a datagram was lost"})
		return false
	}
	return a.random() >= a.loss
}

// changes reports whether the air does anything.
func (a *air) changes() bool { return a.loss > 0 || a.duplicate > 0 || a.radio.Awake > 0 }
