package enrol

import (
	"encoding/binary"
	"fmt"
	"time"

	"steward/est"
)

// A Policy says when certificates of a profile are renewed. The zero Policy is
// that of DefaultPolicy.
type Policy struct {
	// Share of the certificate's life after which it is renewed, from 0 to 1; zero:
	// two thirds.
	Share float64
	// Before is how long before its end at the earliest; zero: 30 days. The later of
	// both counts, so that a certificate of many years is not renewed years early, nor
	// one of days as soon as it is made.
	Before time.Duration
	// Jitter is the share of the certificate's life over which renewals of devices
	// that enrolled together are spread, from 0 to 0.5, after that moment; zero: a
	// tenth. It never takes more than half of what is left.
	Jitter float64
}

const (
	defaultShare  = 2.0 / 3
	defaultBefore = 30 * 24 * time.Hour
	defaultJitter = 0.1
	maxJitter     = 0.5
)

// WithDefaults returns p complete, or ErrPolicy.
func (p Policy) WithDefaults() (Policy, error) {
	if p.Share == 0 {
		p.Share = defaultShare
	}
	if p.Before == 0 {
		p.Before = defaultBefore
	}
	if p.Jitter == 0 {
		p.Jitter = defaultJitter
	}
	switch {
	case !(p.Share > 0 && p.Share < 1): // also what is not a number
		return p, fmt.Errorf("%w: share %v of a certificate's life; between 0 and 1", ErrPolicy, p.Share)
	case p.Before < 0:
		return p, fmt.Errorf("%w: %v before its end", ErrPolicy, p.Before)
	case !(p.Jitter > 0 && p.Jitter <= maxJitter):
		return p, fmt.Errorf("%w: jitter of %v of a certificate's life; up to %v", ErrPolicy, p.Jitter, maxJitter)
	}
	return p, nil
}

// renewAt returns when a certificate is to be renewed. The device's place in the
// spread follows from the certificate's hash, which nobody chooses.
func (p Policy) renewAt(issued, ends time.Time, certificate est.Hash) time.Time {
	life := ends.Sub(issued)
	at := issued.Add(share(life, p.Share))
	if late := ends.Add(-p.Before); late.After(at) {
		at = late
	}
	spread := min(share(life, p.Jitter), ends.Sub(at)/2)
	return at.Add(share(spread, dice(certificate[:8])))
}

func share(d time.Duration, part float64) time.Duration { return time.Duration(float64(d) * part) }

// dice makes a number in [0, 1) of eight random bytes.
func dice(random []byte) float64 {
	const mantissa = 53 // bits that a float64 holds
	return float64(binary.BigEndian.Uint64(random)>>(64-mantissa)) / (1 << mantissa)
}

// A pacing is how patient the Runner is with a device. What is left of the
// certificate's life bounds every pause, so that short-lived ones are served like
// those of years.
type pacing struct {
	first, longest time.Duration // of the pauses between tries
	answer         time.Duration // for a device that agreed to renew
	proof          time.Duration // for a new certificate to be used
	pause          time.Duration // after giving up
	tries          int
}

// Parts of what is left of a certificate's life that a pause may take.
const (
	partOfTry   = 12
	partOfPause = 4
	shortest    = time.Second // of any pause
)

// bounded returns d, or a part of the time left until ends if that is less.
func bounded(d, left time.Duration, part int) time.Duration {
	return max(min(d, left/time.Duration(part)), shortest)
}

// retry returns the pause before the next try of a device that failed n times, from
// 1; seed spreads those that failed together.
func (p pacing) retry(n int, left time.Duration, seed est.Hash) time.Duration {
	const doublings, quarter = 20, 0.25
	d := min(p.first<<min(n-1, doublings), p.longest)
	d = bounded(d, left, partOfTry)
	at := (n % 3) * 8 //nolint:mnd // another eight bytes at each try
	return d - share(d, quarter) + share(d, 2*quarter*dice(seed[at:at+8]))
}
