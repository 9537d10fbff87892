package transfer

import (
	"slices"
	"time"
)

// A Retry is the schedule by which a device repeats what failed (§7, defaults).
// The zero value is the default: 30 s, doubling to 1 h, give or take a quarter.
type Retry struct {
	First time.Duration // before the first repetition; zero: 30 s
	Max   time.Duration // longest; zero: 1 h
}

const (
	retryFirst = 30 * time.Second
	retryMax   = time.Hour
	// MaxAlternation is the longest time for which a device tries one provider
	// before it tries the other again (§5).
	MaxAlternation = 24 * time.Hour
)

// Delay returns how long to wait before repetition attempt, counted from 1.
// random is in [0, 1) and spreads the devices over ± 25 %.
func (r Retry) Delay(attempt uint64, random float64) time.Duration {
	first, longest := r.First, r.Max
	if first <= 0 {
		first = retryFirst
	}
	if longest <= 0 {
		longest = max(retryMax, first)
	}
	delay := first
	for i := uint64(1); i < attempt && delay < longest; i++ {
		delay *= 2
	}
	delay = min(delay, longest)
	return delay*3/4 + time.Duration(random*float64(delay)/2)
}

// FallbackJitter returns how long a device waits before it asks its former
// provider, so that many that fall back do not come at once: up to the longest
// spread of Delay.
func (r Retry) FallbackJitter(random float64) time.Duration {
	longest := r.Max
	if longest <= 0 {
		longest = max(retryMax, r.First)
	}
	return time.Duration(random * float64(longest) / 2)
}

// PermanentRefusal reports whether a CoAP response code (class << 5 | detail) to
// an enrolment means that it will never succeed: 4.00, 4.03, 4.06 and 4.15 (§5).
// 4.08, 4.13, 4.29 and 5.xx are to be tried again, as are failed handshakes.
func PermanentRefusal(code uint8) bool {
	return slices.Contains([]uint8{4 << 5, 4<<5 | 3, 4<<5 | 6, 4<<5 | 15}, code)
}

// alternation returns for how long a device tries one provider the nth time:
// the grace, doubling each time.
func alternation(grace time.Duration, n uint64) time.Duration {
	d := grace
	for i := uint64(0); i < n && d < MaxAlternation; i++ {
		d *= 2
	}
	return max(min(d, MaxAlternation), time.Second)
}
