package queue

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
)

// Devices says who listens; *server.Server is one.
type Devices interface {
	Presence(device fleet.ID) server.Presence
}

// A Result is what came of an operation.
type Result struct {
	Body    []byte // to be kept; opaque here
	Outcome string // a word for the audit row
	Reason  string // why it failed, for people; "" if it did not
}

// Options configure a Queue. All without a default are required.
type Options struct {
	Store   Store
	Devices Devices
	// Perform does an operation. The error is that of the server's call.
	Perform func(ctx context.Context, o Operation) (Result, error)
	// Changed is told after each step; nil: nobody is.
	Changed func(Operation)
	NewID   func() string // of operations, each once
	Log     *slog.Logger  // nil: none
	Workers int           // devices served at once; 64
	Expire  time.Duration // how long an operation waits at least, if its device's lifetime is not longer; 24 h
	Keep    time.Duration // how long what is over is kept; 7 days
}

// DefaultKeep is how long operations that are over are kept.
const DefaultKeep = 7 * 24 * time.Hour

const (
	defaultWorkers = 64
	defaultExpire  = 24 * time.Hour

	maxTries    = 3                   // of one operation, of which the others are after silence
	maxExpire   = 90 * 24 * time.Hour // beyond it nobody remembers what was asked for
	callTimeout = 10 * time.Minute    // of an operation for which nobody waits
	lookEvery   = 15 * time.Second    // what expires, and who listens without having told us
	pruneEvery  = 10 * time.Minute
	maxReason   = 200 // bytes
)

// A Queue performs operations. Safe for concurrent use.
type Queue struct {
	o     Options
	nudge chan struct{} // holds one: lines are ready

	mu      sync.Mutex
	lines   map[fleet.ID]*line
	ready   []fleet.ID // lines to be served, each once
	total   int        // operations of all lines that are not over
	waiters map[string][]chan struct{}
	running map[string]context.CancelFunc
	pruned  time.Time
	over    bool // something ended since
}

// A line is what waits for one device. Queue.mu guards it.
type line struct {
	open   int
	queued bool // in Queue.ready
	busy   bool // being served
	again  bool // something happened meanwhile
}

// New returns a Queue that knows what waits by its Store; Run it. What was under way
// when the process before ended is tried again, unless doing it twice is not like
// doing it once: then it has failed.
func New(ctx context.Context, o Options) (*Queue, error) {
	if o.Store == nil || o.Devices == nil || o.Perform == nil || o.NewID == nil {
		return nil, errors.New("queue: Store, Devices, Perform and NewID are required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func(Operation) {}
	}
	if o.Workers == 0 {
		o.Workers = defaultWorkers
	}
	if o.Expire == 0 {
		o.Expire = defaultExpire
	}
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	if o.Workers < 0 || o.Expire < 0 || o.Keep < 0 {
		return nil, errors.New("queue: Workers, Expire and Keep must not be negative")
	}
	q := &Queue{
		o: o, nudge: make(chan struct{}, 1), lines: map[fleet.ID]*line{}, waiters: map[string][]chan struct{}{},
		running: map[string]context.CancelFunc{},
	}
	return q, q.load(ctx)
}

// load recovers what the process before left.
func (q *Queue) load(ctx context.Context) error {
	for after, more := "", true; more; {
		open, err := q.o.Store.Operations(ctx, Filter{Open: true, After: after, Limit: batch})
		if err != nil {
			return err
		}
		if more = len(open) == batch; more {
			after = open[len(open)-1].ID
		}
		for _, o := range open {
			if err := q.takeUp(ctx, o); err != nil {
				return err
			}
		}
	}
	waiting, err := q.o.Store.Waiting(ctx)
	if err != nil {
		return err
	}
	for device, n := range waiting {
		q.lines[device] = &line{open: n}
		q.total += n
	}
	return nil
}

// takeUp takes up an operation that was not over when the process before ended.
func (q *Queue) takeUp(ctx context.Context, o Operation) error {
	if o.State == Queued {
		return nil
	}
	on, reason := Lose, "the server stopped meanwhile: the device may have done it or not"
	if o.Held && o.Repeats {
		on, reason = Silence, "the server stopped meanwhile"
	}
	_, err := q.move(ctx, o, on, Result{Outcome: "lost", Reason: reason})
	return err
}

const batch = 256 // rows read at a time

// Wake tells the Queue that a device has spoken. It does not block, and costs next
// to nothing where nothing waits.
func (q *Queue) Wake(device fleet.ID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.lines[device]; l != nil {
		q.serveSoon(device, l)
	}
}

// serveSoon has a line served. The caller holds mu.
func (q *Queue) serveSoon(device fleet.ID, l *line) {
	if l.busy {
		l.again = true
		return
	}
	if l.queued {
		return
	}
	l.queued = true
	q.ready = append(q.ready, device)
	select {
	case q.nudge <- struct{}{}:
	default:
	}
}

// Run performs what waits until ctx ends, and returns after its last goroutine.
func (q *Queue) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, q.o.Workers)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		q.dispatch(ctx, &wg, slots)
		select {
		case <-q.nudge:
		case now := <-tick.C:
			q.look(ctx, now)
		case <-ctx.Done():
			return nil
		}
	}
}

// dispatch serves lines as long as workers are free; one that becomes free nudges.
func (q *Queue) dispatch(ctx context.Context, wg *sync.WaitGroup, slots chan struct{}) {
	for {
		select {
		case slots <- struct{}{}:
		default:
			return
		}
		device, ok := q.take()
		if !ok {
			<-slots
			return
		}
		wg.Go(func() {
			q.serve(ctx, device)
			<-slots
			select {
			case q.nudge <- struct{}{}:
			default:
			}
		})
	}
}

// take returns a line to be served, which is busy then.
func (q *Queue) take() (device fleet.ID, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ready) == 0 {
		q.ready = nil
		return "", false
	}
	device, q.ready = q.ready[0], q.ready[1:]
	if l := q.lines[device]; l != nil {
		l.queued, l.busy, l.again = false, true, false
	}
	return device, true
}

// rest ends the serving of a line, unless something happened meanwhile.
func (q *Queue) rest(device fleet.ID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[device]
	if l == nil {
		return
	}
	l.busy = false
	switch {
	case l.open == 0:
		delete(q.lines, device)
	case l.again:
		q.serveSoon(device, l)
	}
}

// count notes that n more operations of a device are not over; fewer, if negative.
func (q *Queue) count(device fleet.ID, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[device]
	if l == nil {
		if n <= 0 {
			return
		}
		l = &line{}
		q.lines[device] = l
	}
	l.open += n
	q.total += n
	if l.open <= 0 && !l.busy && !l.queued {
		delete(q.lines, device)
	}
}

// empty reports whether nothing waits for a device.
func (q *Queue) empty(device fleet.ID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lines[device] == nil
}

// failed logs what nobody else can be told.
func (q *Queue) failed(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		q.o.Log.LogAttrs(ctx, slog.LevelError, "operations", slog.String("what", what), slog.Any("error", err))
	}
}
