package est

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"steward/lwm2m/audit"
)

// Limits bound what clients may ask of a CA. Zero fields take the defaults named;
// negative ones are ErrOptions.
type Limits struct {
	// Burst is how many requests one client certificate may make at once, 20, and
	// Interval the time after which it may make another, 10 s. Repeated requests
	// count: whoever asks again gets the stored answer, and each costs a signature
	// to verify.
	Burst    int
	Interval time.Duration
	// PerDay is how many certificates one device may get within 24 hours; 100.
	PerDay int
	// PerMinute is how many requests of all clients the CA takes up within a
	// minute; 60,000.
	PerMinute int
}

// Defaults of Limits.
const (
	defaultBurst     = 20
	defaultInterval  = 10 * time.Second
	defaultPerDay    = 100
	defaultPerMinute = 60_000
)

func (l Limits) withDefaults() (Limits, error) {
	if l.Burst < 0 || l.Interval < 0 || l.PerDay < 0 || l.PerDay > MaxPage || l.PerMinute < 0 {
		return l, fmt.Errorf("%w: limits %+v", ErrOptions, l)
	}
	l.Burst = cmp.Or(l.Burst, defaultBurst)
	l.Interval = cmp.Or(l.Interval, defaultInterval)
	l.PerDay = cmp.Or(l.PerDay, defaultPerDay)
	l.PerMinute = cmp.Or(l.PerMinute, defaultPerMinute)
	return l, nil
}

// A LimitError is ErrLimit with the time after which to ask again.
type LimitError struct {
	Retry time.Duration
	What  string // the limit, in words
	first bool   // of a row of refusals: the others are not audited
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%v: %s, retry after %v", ErrLimit, e.What, e.Retry)
}

// Is makes errors.Is(err, ErrLimit) true.
func (e *LimitError) Is(target error) bool { return target == ErrLimit }

// A limiter counts requests in memory: what a restart forgives is one burst.
type limiter struct {
	Limits

	mu      sync.Mutex
	all     allowance
	clients map[Hash]allowance
	sweepAt int // number of clients at which those who are quiet are forgotten
}

// An allowance is a token bucket, told by when it is full again: it takes a
// request if that is not further away than the burst lasts.
type allowance struct {
	full    time.Time
	refused bool // the last one
}

// firstSweep is how many clients are remembered before quiet ones are looked for.
const firstSweep = 1024

func newLimiter(l Limits) *limiter {
	return &limiter{Limits: l, clients: map[Hash]allowance{}, sweepAt: firstSweep}
}

// take counts a request at now. It returns for how long it must wait, 0 if it may
// go on, and whether it is the first to be refused in a row.
func (a *allowance) take(now time.Time, burst int, each time.Duration) (wait time.Duration, first bool) {
	if a.full.Before(now) {
		a.full = now
	}
	after := a.full.Add(each)
	if wait = after.Sub(now.Add(time.Duration(burst) * each)); wait > 0 {
		first, a.refused = !a.refused, true
		return wait, first
	}
	a.full, a.refused = after, false
	return 0, false
}

// admit counts a request of a client, and returns a *LimitError for one too many.
func (l *limiter) admit(client Hash, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.clients[client]
	wait, first := mine.take(now, l.Burst, l.Interval)
	l.sweep(now)
	l.clients[client] = mine
	if wait > 0 {
		return &LimitError{wait, fmt.Sprintf("more than %d requests at once", l.Burst), first}
	}
	// One that waits for its turn among all does not count against the others.
	if wait, first = l.all.take(now, l.PerMinute, time.Minute/time.Duration(l.PerMinute)); wait > 0 {
		return &LimitError{wait, fmt.Sprintf("more than %d requests of all devices in a minute", l.PerMinute), first}
	}
	return nil
}

// sweep forgets the clients whose allowance is full, once there are many.
func (l *limiter) sweep(now time.Time) {
	if len(l.clients) < l.sweepAt {
		return
	}
	for client, a := range l.clients {
		if !a.full.After(now) {
			delete(l.clients, client)
		}
	}
	l.sweepAt = max(firstSweep, 2*len(l.clients)) //nolint:mnd // so that it costs a constant share
}

const dayLong = 24 * time.Hour

// rationed returns a *LimitError for a device that got its share of certificates
// for today: by its factory certificate, or by its name if it has none.
func (ca *CA) rationed(ctx context.Context, factory Hash, name string) error {
	q := Query{Kind: KindOperational, Factory: factory, Limit: ca.limiter.PerDay}
	if factory == (Hash{}) {
		q.Name = name
	}
	return ca.rationedBy(ctx, q)
}

// rationedBy is rationed for whom q says.
func (ca *CA) rationedBy(ctx context.Context, q Query) error {
	got, err := ca.o.Store.Certificates(ctx, q)
	if err != nil || len(got) < ca.limiter.PerDay {
		return err
	}
	since := ca.now().Sub(got[len(got)-1].IssuedAt)
	if since >= dayLong {
		return nil
	}
	return &LimitError{dayLong - since, fmt.Sprintf("more than %d certificates in a day", ca.limiter.PerDay), true}
}

// limited records the first of a row of refusals, and returns err.
func (ca *CA) limited(ctx context.Context, what string, c Client, err *LimitError) error {
	if !err.first {
		return err
	}
	row := ca.row("certificate."+what+".limit", c.Certificate, err.Error(), "", "")
	row.Actor = "device:" + c.Name
	if stored := ca.o.Store.Commit(ctx, Change{Audit: []audit.Row{row}}); stored != nil {
		return stored
	}
	return err
}
