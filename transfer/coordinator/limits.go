package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"steward/lwm2m/audit"
	"steward/transfer"
)

// Limits bound what a partner may ask of us. Zero members are the defaults.
type Limits struct {
	Devices int // of one transfer
	Daily   int // devices of all its transfers in 24 h
	Open    int // transfers of its that have not ended
	Calls   int // a minute
}

// The defaults of Limits.
const (
	DefaultDaily = 100_000
	DefaultOpen  = 100
	DefaultCalls = 30_000 // four for each device of a large transfer, within some minutes
)

// InForce returns l with the defaults for what is zero.
func (l Limits) InForce() Limits {
	fallback(&l.Devices, transfer.MaxDevices)
	fallback(&l.Daily, DefaultDaily)
	fallback(&l.Open, DefaultOpen)
	fallback(&l.Calls, DefaultCalls)
	return l
}

// String lists what differs from the defaults.
func (l Limits) String() string {
	var out []string
	for _, part := range []struct {
		name string
		n    int
	}{{"devices", l.Devices}, {"daily", l.Daily}, {"open", l.Open}, {"calls", l.Calls}} {
		if part.n != 0 {
			out = append(out, part.name+" "+strconv.Itoa(part.n))
		}
	}
	if out == nil {
		return "defaults"
	}
	return strings.Join(out, ", ")
}

// ErrLimit reports a partner that asks for more than it may now. It is a *LimitError.
var ErrLimit = errors.New("beyond the limits of the partner")

// A LimitError says which limit, and when to ask again.
type LimitError struct {
	What string
	Wait time.Duration
}

// Error returns it in words.
func (e *LimitError) Error() string { return ErrLimit.Error() + ": " + e.What }

// Unwrap returns ErrLimit.
func (*LimitError) Unwrap() error { return ErrLimit }

// Usage is how far a partner has used its limits.
type Usage struct {
	Daily int // devices that it asked us to take in the last 24 h
	Open  int // transfers of it to us that have not ended
}

const day = 24 * time.Hour

// Usage returns that of a partner.
func (c *Coordinator) Usage(ctx context.Context, partner string) (u Usage, err error) {
	since := time.Now().Add(-day)
	err = c.eachWith(ctx, partner, func(t Transfer) error {
		if !t.Incoming {
			return nil
		}
		if !t.Over() && t.State != transfer.BatchPartial {
			u.Open++
		}
		if t.CreatedAt.After(since) {
			n, err := c.o.Store.Count(ctx, t.ID)
			for _, k := range n {
				u.Daily += k
			}
			return err
		}
		return nil
	})
	return u, err
}

// eachWith calls fn with every transfer with a partner, the newest first.
func (c *Coordinator) eachWith(ctx context.Context, partner string, fn func(Transfer) error) error {
	before := ""
	for {
		page, err := c.o.Store.ListTransfers(ctx, before, dueBatch)
		if err != nil {
			return err
		}
		for _, t := range page {
			before = t.ID
			if t.Partner != partner {
				continue
			}
			if err := fn(t); err != nil {
				return err
			}
		}
		if len(page) < dueBatch {
			return nil
		}
	}
}

// admits refuses a new transfer of so many devices that is beyond the partner's limits:
// for good where it can never be within them.
func (c *Coordinator) admits(ctx context.Context, from Partner, devices int) error {
	l := from.Limits.InForce()
	if devices > min(l.Devices, l.Daily) {
		return refusedf(ErrInvalid, "%d devices in a transfer, at most %d may be", devices, min(l.Devices, l.Daily))
	}
	u, err := c.Usage(ctx, from.ID)
	switch {
	case err != nil:
		return err
	case u.Open >= l.Open:
		return &LimitError{fmt.Sprintf("%d transfers are open, at most %d may be", u.Open, l.Open), time.Minute}
	case u.Daily+devices > l.Daily:
		return &LimitError{fmt.Sprintf("%d devices of %d within a day", u.Daily, l.Daily), time.Hour}
	}
	return nil
}

// SetPartnerLimits gives a partner its limits. It returns ErrUnknown, or ErrInvalid for a
// negative one.
func (c *Coordinator) SetPartnerLimits(ctx context.Context, id string, l Limits, actor, reason string) (
	Partner, error,
) {
	if min(l.Devices, l.Daily, l.Open, l.Calls) < 0 || l.Devices > transfer.MaxDevices {
		return Partner{}, refusedf(ErrInvalid, "limits %s: at most %d devices in a transfer", l, transfer.MaxDevices)
	}
	p, err := c.o.Store.Partner(ctx, id)
	if err != nil {
		return Partner{}, err
	}
	row := audit.Row{
		Actor: actor, Action: "partner.limits", Subject: id, Reason: reason, Before: p.Limits.String(), After: l.String(),
	}
	p.Limits = l
	if err := c.o.Store.PutPartner(ctx, p, row); err != nil {
		return Partner{}, err
	}
	return c.Partner(ctx, id)
}

// calls counts what partners ask.
type calls struct {
	mu      sync.Mutex
	buckets map[string]*bucket // by partner: as many as there are
}

// A bucket fills steadily, to what the partner may ask in callBurst.
type bucket struct {
	left float64
	at   time.Time
	told time.Time // when a refusal was audited
}

const callBurst = 10 * time.Second

// take counts a call. It returns how long to wait, 0: it may be answered; and whether a
// refusal is worth an audit row, which is once in a minute.
func (m *calls) take(p Partner, now time.Time) (wait time.Duration, tell bool) {
	rate := float64(p.Limits.InForce().Calls) / time.Minute.Seconds()
	most := max(rate*callBurst.Seconds(), 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.buckets[p.ID]
	if b == nil {
		if m.buckets == nil {
			m.buckets = map[string]*bucket{}
		}
		b = &bucket{left: most, at: now}
		m.buckets[p.ID] = b
	}
	b.left = min(b.left+max(now.Sub(b.at).Seconds(), 0)*rate, most)
	b.at = now
	if b.left >= 1 {
		b.left--
		return 0, false
	}
	if tell = now.Sub(b.told) >= time.Minute; tell {
		b.told = now
	}
	return time.Duration((1 - b.left) / rate * float64(time.Second)), tell
}

// turns let each partner submit one transfer at a time, so that its limits count those
// that are on their way.
type turns struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // by partner: as many as there are
}

// take waits for the turn of a partner.
func (t *turns) take(ctx context.Context, partner string) (release func(), err error) {
	t.mu.Lock()
	turn := t.busy[partner]
	if turn == nil {
		if t.busy == nil {
			t.busy = map[string]chan struct{}{}
		}
		turn = make(chan struct{}, 1)
		t.busy[partner] = turn
	}
	t.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
