package server

import (
	"sync"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
)

// A Happening is the kind of an Event.
type Happening string

// What a Server tells its subscribers.
const (
	Registered   Happening = "registered"
	Updated      Happening = "updated"
	Deregistered Happening = "deregistered"
	Expired      Happening = "expired"
	Notified     Happening = "notified" // values of an observation
	Sent         Happening = "sent"     // values of a Send
	Lost         Happening = "lost"     // an observation that the device ended or refused
)

// An Event tells what happened to a device.
type Event struct {
	Kind    Happening
	Device  fleet.ID
	Path    lwm2m.Path    // of an observation
	Entries []lwm2m.Entry // of Notified and Sent
	At      time.Time
}

// subscribers is a list of functions that see every event.
type subscribers struct {
	mu   sync.Mutex
	next int
	fns  map[int]func(Event)
}

// Subscribe calls fn with every event until cancel is called. fn runs on the
// goroutine of the device's message: it must not block, nor call the Server. After
// cancel it may still be running.
func (s *Server) Subscribe(fn func(Event)) (cancel func()) {
	l := &s.subs
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fns == nil {
		l.fns = map[int]func(Event){}
	}
	id := l.next
	l.next++
	l.fns[id] = fn
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.fns, id)
	}
}

func (s *Server) emit(e Event) {
	e.At = time.Now()
	s.subs.mu.Lock()
	fns := make([]func(Event), 0, len(s.subs.fns))
	for _, fn := range s.subs.fns {
		fns = append(fns, fn)
	}
	s.subs.mu.Unlock()
	for _, fn := range fns {
		fn(e)
	}
}
