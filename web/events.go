package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Limits of the event stream.
const (
	keepEvents      = 1024             // kept for clients that come back with Last-Event-ID
	awaited         = time.Minute      // how long one that went away is expected back
	subscriberQueue = 64               // events waiting for one client; a slower one is cut off
	maxSubscribers  = 256              // open streams; each holds a connection
	keepAlive       = 15 * time.Second // below the idle timeouts of usual proxies
)

// A Stream passes events from those who publish to those who watch. Its zero
// value is ready. It starts no goroutine: a watcher's own request waits.
type Stream struct {
	// Sees reports whether the actor of a request may learn of an event; nil: everybody
	// may. It is set before the stream is used, and called by the watcher's own request.
	Sees func(ctx context.Context, e Event) bool

	mu          sync.Mutex  // guards what follows
	last        uint64      // id of the newest event
	kept        []sequenced // a ring: an event is at its id modulo keepEvents
	subscribers map[*subscriber]struct{}
	leaving     bool      // a subscriber went away since the last call of Watched
	left        time.Time // when that was seen
	closed      bool
}

type sequenced struct {
	Event

	id uint64
}

type subscriber struct {
	match  func(Event) bool
	events chan sequenced // closed when the subscriber was too slow, or by Close
}

// Publish hands e to all who watch. It never blocks.
func (s *Stream) Publish(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	seq := sequenced{Event: e, id: s.last}
	if s.kept == nil {
		s.kept = make([]sequenced, keepEvents)
	}
	s.kept[seq.id%keepEvents] = seq
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

// subscribe returns a subscriber and the kept events after the id last.
func (s *Stream) subscribe(last uint64, match func(Event) bool) (*subscriber, []sequenced, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.subscribers) >= maxSubscribers {
		return nil, nil, ErrUnavailable
	}
	var missed []sequenced
	if s.kept != nil && last > 0 {
		oldest := uint64(1)
		if s.last > keepEvents {
			oldest = s.last - keepEvents + 1
		}
		for id := max(last+1, oldest); id <= s.last; id++ {
			if e := s.kept[id%keepEvents]; match(e.Event) {
				missed = append(missed, e)
			}
		}
	}
	sub := &subscriber{match: match, events: make(chan sequenced, subscriberQueue)}
	if s.subscribers == nil {
		s.subscribers = map[*subscriber]struct{}{}
	}
	s.subscribers[sub] = struct{}{}
	return sub, missed, nil
}

// Serve answers r with the events that match as an event stream (HTML, "Server-
// sent events"), beginning after the client's Last-Event-ID, until the client
// goes away or stay ends. It returns ErrUnavailable when too many watch.
func (s *Stream) Serve(w http.ResponseWriter, r *http.Request, stay time.Duration, match func(Event) bool) error {
	last, _ := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64) // 0 if absent or not ours
	sub, missed, err := s.subscribe(last, match)
	if err != nil {
		return err
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.drop(sub)
	}()
	out := http.NewResponseController(w)
	// The server's write timeout is for answers that end.
	if err := out.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	// From here on, an error is a client that went away.
	ctx, cancel := context.WithTimeout(r.Context(), stay)
	defer cancel()
	_ = sub.copyTo(ctx, w, out, missed, s.Sees)
	return nil
}

// copyTo writes events until ctx ends or the subscriber is dropped.
func (sub *subscriber) copyTo(
	ctx context.Context, w http.ResponseWriter, out *http.ResponseController, missed []sequenced,
	sees func(context.Context, Event) bool,
) error {
	write := func(e sequenced) error {
		if sees != nil && !sees(ctx, e.Event) {
			return nil
		}
		return writeEvent(w, e)
	}
	if _, err := fmt.Fprint(w, "retry: 2000\n\n"); err != nil {
		return err
	}
	for _, e := range missed {
		if err := write(e); err != nil {
			return err
		}
	}
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		if err := out.Flush(); err != nil {
			return err
		}
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			_, err = fmt.Fprint(w, ": still here\n\n")
		case e, ok := <-sub.events:
			if !ok {
				return nil
			}
			err = write(e)
		}
		if err != nil {
			return err
		}
	}
}

// writeEvent writes one event. Its data is compact JSON, so it has no newline
// that could begin another field.
func writeEvent(w http.ResponseWriter, e sequenced) error {
	body, err := json.Marshal(struct {
		Type    string          `json:"type"`
		Subject string          `json:"subject"`
		Data    json.RawMessage `json:"data,omitempty"`
	}{e.Type, e.Subject, e.Data})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "id: %d\ndata: %s\n\n", e.id, body)
	return err
}
