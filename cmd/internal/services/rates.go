package services

import (
	"context"
	"sync"
	"time"

	"steward/web"
)

// Bounds of what Rates remembers.
const (
	rateEvery = 5 * time.Second
	rateKept  = int(web.PaceOver/rateEvery) + 1
)

// Totals are counts since the start of the process.
type Totals struct {
	Registrations uint64
	Handshakes    uint64 // DTLS and TLS, completed
	Failures      uint64 // handshakes that failed
}

// Rates says how much happened lately, by looking at counters at intervals: what is
// counted costs no more for it.
type Rates struct {
	totals func() Totals

	mu   sync.Mutex // guards the rest
	kept []sighting // the oldest first, at most rateKept
}

type sighting struct {
	Totals

	at time.Time
}

// NewRates returns Rates of the counters that totals reads.
func NewRates(totals func() Totals) *Rates { return &Rates{totals: totals} }

// Run looks at the counters until ctx ends.
func (r *Rates) Run(ctx context.Context) error {
	tick := time.NewTicker(rateEvery)
	defer tick.Stop()
	for {
		r.look(time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *Rates) look(now time.Time) {
	c := sighting{r.totals(), now}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.kept) == rateKept {
		r.kept = append(r.kept[:0], r.kept[1:]...)
	}
	r.kept = append(r.kept, c)
}

// Lately returns what happened up to now; nil before anything was looked at.
func (r *Rates) Lately(now time.Time) *web.Pace {
	c := sighting{r.totals(), now}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.kept) == 0 {
		return nil
	}
	minute, whole := r.since(now.Add(-time.Minute)), r.kept[0]
	elapsed := max(c.at.Sub(minute.at), rateEvery) // else one at the start would be many
	each := func(before, after uint64, per time.Duration) float64 {
		return float64(after-before) * float64(per) / float64(max(elapsed, per))
	}
	return &web.Pace{
		RegistrationsPerMinute: each(minute.Registrations, c.Registrations, time.Minute),
		HandshakesPerSecond:    each(minute.Handshakes, c.Handshakes, time.Second),
		HandshakesFailed:       int64(c.Failures - whole.Failures), //nolint:gosec // G115: of five minutes
		Seconds:                int(c.at.Sub(whole.at).Seconds()),
	}
}

// since returns the last that was seen at t or before, else the first; the caller holds
// mu.
func (r *Rates) since(t time.Time) sighting {
	first := r.kept[0]
	for _, c := range r.kept {
		if c.at.After(t) {
			break
		}
		first = c
	}
	return first
}
