package web

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"
)

// Limits of the event stream.
const (
	keepEvents      = 1024             // kept for clients that come back with Last-Event-ID
	awaited         = time.Minute      // how long one that went away is expected back
	subscriberQueue = 64               // events waiting for one client; a slower one is cut off
	maxSubscribers  = 256              // open streams; each holds a connection
	maxOfOne        = 32               // of one person or token, who must not take all
	writeWithin     = 30 * time.Second // else the client does not read, and gives its place up
	keepAlive       = 15 * time.Second // below the idle timeouts of usual proxies
)

// A Stream passes events from those who publish to those who watch. Its zero
// value is ready. It starts no goroutine: a watcher's own request waits.
type Stream struct {
	// Sees reports whether the actor of a request may learn of an event; nil: everybody
	// may. It is set before the stream is used, and called by the watcher's own request.
	Sees func(ctx context.Context, e Event) bool

	// Log has the events that are not in memory any more; nil: none. Source is where
	// events happen, for CloudEvents. Both are set before the stream is used.
	Log    EventLog
	Source string

	mu          sync.Mutex // guards what follows
	first       uint64     // id before the first event in memory
	last        uint64     // id of the newest event
	kept        []Logged   // a ring: an event is at its id modulo keepEvents
	subscribers map[*subscriber]struct{}
	leaving     bool      // a subscriber went away since the last call of Watched
	left        time.Time // when that was seen
	closed      bool
}

type subscriber struct {
	caller string
	match  func(Event) bool
	events chan Logged // closed when the subscriber was too slow, or by Close
}

// Resume has the next event follow on what an earlier process kept up to id. What it
// may have published and not kept gets ids of its own.
func (s *Stream) Resume(id uint64) {
	const unkept = 100_000
	s.mu.Lock()
	defer s.mu.Unlock()
	if id > 0 {
		s.first, s.last = id+unkept, id+unkept
	}
}

// Publish hands e to all who watch, and returns it with its id. It never blocks.
func (s *Stream) Publish(e Event) Logged {
	at := time.Now() //nolint:forbidigo // what is published happens now
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	seq := Logged{Event: e, ID: s.last, At: at}
	if s.kept == nil {
		s.kept = make([]Logged, keepEvents)
	}
	s.kept[seq.ID%keepEvents] = seq
	for sub := range s.subscribers {
		if !sub.match(e) {
			continue
		}
		select {
		case sub.events <- seq:
		default: // it comes back with Last-Event-ID
			s.drop(sub)
		}
	}
	return seq
}

// Watched reports whether anybody watches at now, or may come back for what was
// missed.
func (s *Stream) Watched(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving {
		s.leaving, s.left = false, now
	}
	return len(s.subscribers) > 0 || !s.left.IsZero() && now.Sub(s.left) < awaited
}

// Close ends all streams, and those that come later at once.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for sub := range s.subscribers {
		s.drop(sub)
	}
}

// drop takes sub off the list; the caller holds mu.
func (s *Stream) drop(sub *subscriber) {
	if _, ok := s.subscribers[sub]; ok {
		delete(s.subscribers, sub)
		close(sub.events)
		s.leaving = true
	}
}

// subscribe returns a subscriber, the events in memory after the id last, and how what
// is not in memory is read.
func (s *Stream) subscribe(
	caller string, last uint64, match func(Event) bool,
) (*subscriber, []Logged, replay, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.subscribers) >= maxSubscribers {
		return nil, nil, replay{}, ErrUnavailable
	}
	if s.streamsOf(caller) >= maxOfOne {
		return nil, nil, replay{}, &Error{Is: ErrTooMany, Detail: "you watch as often as you may already"}
	}
	oldest := s.first + 1
	if s.last >= s.first+keepEvents {
		oldest = s.last - keepEvents + 1
	}
	var missed []Logged
	for id := max(last+1, oldest); id <= s.last; id++ {
		if e := s.kept[id%keepEvents]; match(e.Event) {
			missed = append(missed, e)
		}
	}
	sub := &subscriber{caller: caller, match: match, events: make(chan Logged, subscriberQueue)}
	if s.subscribers == nil {
		s.subscribers = map[*subscriber]struct{}{}
	}
	s.subscribers[sub] = struct{}{}
	return sub, missed, replay{log: s.Log, until: oldest, newest: s.last}, nil
}

// streamsOf counts the streams of a caller; the caller holds mu.
func (s *Stream) streamsOf(caller string) (n int) {
	for sub := range s.subscribers {
		if sub.caller == caller {
			n++
		}
	}
	return n
}

// ServeAs is Serve for those who understand no CloudEvents: render says how each event
// is told, in none, one or several. Its context is that of the watcher's request.
func (s *Stream) ServeAs(
	w http.ResponseWriter, r *http.Request, stay time.Duration, match func(Event) bool,
	render func(context.Context, Logged) ([]Told, error),
) error {
	last, back := lastEventID(r)
	if !back {
		last = math.MaxUint64 - 1
	}
	actor := ActorFrom(r.Context())
	sub, missed, before, err := s.subscribe(string(actor.Via)+":"+actor.String(), last, match)
	if err != nil {
		return err
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.drop(sub)
	}()
	out := http.NewResponseController(w)
	// The next request of the connection has all the time in the world again.
	defer func() { _ = out.SetWriteDeadline(time.Time{}) }()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	// From here on, an error is a client that went away.
	ctx, cancel := context.WithTimeout(r.Context(), stay)
	defer cancel()
	f := follower{ctx: ctx, w: w, out: out, stream: s, match: match, render: render}
	_ = f.run(sub, missed, before, last, back)
	return nil
}

// A follower is one client and what is written to it.
type follower struct {
	ctx    context.Context //nolint:containedctx // of the one request that it serves
	w      http.ResponseWriter
	out    *http.ResponseController
	stream *Stream
	match  func(Event) bool
	render func(context.Context, Logged) ([]Told, error)
}

// run writes what was missed, and then what happens until ctx ends or the subscriber
// is dropped.
func (f follower) run(sub *subscriber, missed []Logged, before replay, last uint64, back bool) error {
	f.patience()
	if _, err := fmt.Fprint(f.w, "retry: 2000\n\n"); err != nil {
		return err
	}
	if back && last+1 < before.until {
		complete, err := f.missed(before, last)
		if err != nil || !complete {
			return err // it comes back for the rest
		}
	}
	if back && last > before.newest { // of another database, or an older copy of ours
		if err := f.write(gap(last, before.newest+1)); err != nil {
			return err
		}
	}
	for _, e := range missed {
		if err := f.write(e); err != nil {
			return err
		}
	}
	return f.follow(sub)
}

// missed writes what is not in memory any more.
func (f follower) missed(before replay, last uint64) (complete bool, err error) {
	if before.log == nil {
		return true, f.write(gap(last, before.until))
	}
	return before.each(f.ctx, last, func(e Logged) error {
		if e.Type != EventGap && !f.match(e.Event) {
			return nil
		}
		return f.write(e)
	})
}

// follow writes what happens.
func (f follower) follow(sub *subscriber) error {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		f.patience()
		if err := f.out.Flush(); err != nil {
			return err
		}
		var err error
		select {
		case <-f.ctx.Done():
			return f.ctx.Err()
		case <-tick.C:
			if !Still(f.ctx) {
				return nil // who comes back learns why
			}
			f.patience()
			_, err = fmt.Fprint(f.w, ": still here\n\n")
		case e, ok := <-sub.events:
			if !ok {
				return nil
			}
			err = f.write(e)
		}
		if err != nil {
			return err
		}
	}
}

// patience gives what is written next writeWithin, in place of the server's timeout for
// answers that end: whoever reads nothing would keep a place for ever. A writer that
// knows no deadline is a test's.
func (f follower) patience() {
	_ = f.out.SetWriteDeadline(time.Now().Add(writeWithin)) //nolint:forbidigo // of the connection
}
