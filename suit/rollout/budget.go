package rollout

import (
	"context"
	"sync"
	"time"
)

// Budgets hand out bytes per second: to all devices together, and to those of each
// campaign. Safe for concurrent use.
type Budgets struct {
	total int64 // bytes per second; 0: no bound

	mu        sync.Mutex
	all       bucket
	campaigns map[string]*bucket
	waiting   int
}

// A bucket is full after a second without use.
type bucket struct {
	free time.Time // when what was handed out so far has been paid for
}

const (
	// maxWaiting bounds those who wait for their turn; others are told to come back.
	maxWaiting = 1024
	// maxPatience is the longest wait: shorter than a client waits before it asks
	// again.
	maxPatience = 1500 * time.Millisecond
	// maxCampaigns bounds the campaigns that are remembered.
	maxCampaigns = 1024
)

// NewBudgets returns Budgets of bytesPerSecond in total; 0: no bound.
func NewBudgets(bytesPerSecond int64) *Budgets {
	return &Budgets{total: bytesPerSecond, campaigns: map[string]*bucket{}}
}

// delay returns how long n bytes must wait at a rate, and when they are paid for. A
// second's worth may go at once.
func (b *bucket) delay(now time.Time, n int, rate int64) (time.Duration, time.Time) {
	free := b.free
	if earliest := now.Add(-time.Second); free.Before(earliest) {
		free = earliest
	}
	return max(free.Sub(now), 0), free.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
}

// Take waits until n bytes of a campaign may go. If that would take too long it
// returns false and when to ask again. rate is the campaign's; 0: no bound. It
// returns the error of ctx.
func (b *Budgets) Take(ctx context.Context, campaign string, rate int64, n int) (
	again time.Duration, ok bool, err error,
) {
	wait, ok := b.reserve(campaign, rate, n, maxPatience)
	if !ok || wait <= 0 {
		return wait, ok, nil
	}
	defer func() {
		b.mu.Lock()
		b.waiting--
		b.mu.Unlock()
	}()
	return 0, true, pause(ctx, wait)
}

// reserve takes n bytes if their turn comes within patience.
func (b *Budgets) reserve(campaign string, rate int64, n int, patience time.Duration) (wait time.Duration, ok bool) {
	if b.total <= 0 && rate <= 0 {
		return 0, true
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	var paid, paidAll time.Time
	own := b.campaigns[campaign]
	if own == nil {
		own = &bucket{}
	}
	if rate > 0 {
		wait, paid = own.delay(now, n, rate)
	}
	if b.total > 0 {
		var shared time.Duration
		shared, paidAll = b.all.delay(now, n, b.total)
		wait = max(wait, shared)
	}
	if wait > patience || wait > 0 && b.waiting >= maxWaiting {
		return max(wait, time.Second), false
	}
	if rate > 0 {
		if len(b.campaigns) >= maxCampaigns {
			clear(b.campaigns)
		}
		own.free, b.campaigns[campaign] = paid, own
	}
	if b.total > 0 {
		b.all.free = paidAll
	}
	if wait > 0 {
		b.waiting++
	}
	return wait, true
}

// pause waits, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
