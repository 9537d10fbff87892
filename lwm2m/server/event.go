package server

import (
	"slices"
	"sync"
	"sync/atomic"
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
	Faulty       Happening = "faulty"   // what the device sent is wrong: Reason
)

// An Event tells what happened to a device.
type Event struct {
	Kind    Happening
	Device  fleet.ID
	Path    lwm2m.Path    // of an observation
	Entries []lwm2m.Entry // of Notified and Sent
	At      time.Time

	// Of Sent: the device has proved its operational certificate on the association.
	Certified bool

	// Of Faulty: in words, with text of the device in brackets; and who it is: Device
	// if it is registered, else Endpoint, which may be only Claimed.
	Reason   string
	Endpoint lwm2m.Endpoint
	Claimed  bool // by a peer that has proved nothing
}

// subscribers is a list of functions that see every event.
type subscribers struct {
	all atomic.Pointer[[]*func(Event)] // replaced as a whole; nil: none
	mu  sync.Mutex                     // of who replaces it
}

func (l *subscribers) list() []*func(Event) {
	if all := l.all.Load(); all != nil {
		return *all
	}
	return nil
}

// Subscribe calls fn with every event until cancel is called. fn runs on the
// goroutine of the device's message: it must not block, nor call the Server. After
// cancel it may still be running.
func (s *Server) Subscribe(fn func(Event)) (cancel func()) {
	l := &s.subs
	l.mu.Lock()
	defer l.mu.Unlock()
	all := append(slices.Clone(l.list()), &fn)
	l.all.Store(&all)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		left := slices.DeleteFunc(slices.Clone(l.list()), func(f *func(Event)) bool { return f == &fn })
		l.all.Store(&left)
	}
}

func (s *Server) emit(e Event) {
	e.At = time.Now()
	for _, fn := range s.subs.list() {
		(*fn)(e)
	}
}
