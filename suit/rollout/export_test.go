package rollout

import "time"

// Held returns how many chunks p remembers.
func (p *Payloads) Held() int { return len(p.chunks) }

// Opens is opens.
func Opens(w []Window, zone string, now time.Time) time.Time {
	return opens(w, (&Windows{}).zone(zone), now)
}

// Pace is a pace.
type Pace struct{ pace }

// Take is pace.take.
func (p *Pace) Take(want int, perMinute float64, now time.Time) (int, time.Time) {
	return p.take(want, perMinute, now)
}

// RetryOf returns what follows from a code, and the wait before try n.
func RetryOf(m RetryMatrix, code, n int) (Retry, time.Duration) {
	r := m.of(code)
	return r, r.wait(n)
}

// OpenDevices is how many devices a Runner has in hand.
func OpenDevices(r *Runner) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}
