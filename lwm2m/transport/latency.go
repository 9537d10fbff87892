package transport

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	// latencySteps divide each doubling of a duration, so that a quantile is a
	// sixteenth too high at most.
	latencyBits  = 4
	latencySteps = 1 << latencyBits
	latencyUnit  = time.Microsecond
	latencySlots = 32 * latencySteps // an hour
)

// A Latency is a histogram of how long the answers to requests took, from when
// the kernel received a request until the kernel had the answer.
type Latency struct{ counts [latencySlots]uint64 }

// slotOfLatency numbers durations: exactly below 16 µs, then 16 steps to each
// doubling.
func slotOfLatency(d time.Duration) int {
	n := uint64(max(d, 0) / latencyUnit)
	if n < latencySteps {
		return int(n)
	}
	exponent := bits.Len64(n) - 1 - latencyBits
	step := int(n>>exponent) - latencySteps //nolint:gosec // G115: less than 16
	return min((exponent+1)*latencySteps+step, latencySlots-1)
}

// upper is the longest duration of a slot.
func upper(slot int) time.Duration {
	if slot < latencySteps {
		return time.Duration(slot+1) * latencyUnit
	}
	exponent := slot/latencySteps - 1
	return time.Duration(slot%latencySteps+latencySteps+1) << exponent * latencyUnit
}

// Count is how many answers there were.
func (l *Latency) Count() (n uint64) {
	for _, c := range l.counts {
		n += c
	}
	return n
}

// Quantile returns what a share q of the answers, 0 to 1, did not exceed; 0 when
// there were none.
func (l *Latency) Quantile(q float64) time.Duration {
	rest := uint64(q * float64(l.Count()))
	for slot, c := range l.counts {
		if c > 0 && rest < c {
			return upper(slot)
		}
		rest -= min(rest, c)
	}
	for slot := latencySlots - 1; slot >= 0; slot-- { // q is 1
		if l.counts[slot] > 0 {
			return upper(slot)
		}
	}
	return 0
}

// Since returns the answers that are in l and were not yet in an earlier
// histogram of the same listener.
func (l *Latency) Since(earlier *Latency) *Latency {
	var d Latency
	for i := range l.counts {
		d.counts[i] = l.counts[i] - min(l.counts[i], earlier.counts[i])
	}
	return &d
}

// latency is a Latency that grows.
type latency struct{ counts [latencySlots]atomic.Uint64 }

func (l *latency) observe(d time.Duration) { l.counts[slotOfLatency(d)].Add(1) }

func (l *latency) snapshot() *Latency {
	var out Latency
	for i := range l.counts {
		out.counts[i] = l.counts[i].Load()
	}
	return &out
}
