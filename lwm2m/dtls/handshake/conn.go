package handshake

import (
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/dtls"
)

// ticksPerFlight is how often the handshakes are looked at in a retransmission
// interval.
const ticksPerFlight = 4

// A conn is a handshake under way: a machine, and what brings it to a worker.
type conn struct {
	machine // of the worker that has it

	random, former [randomLength]byte // of the hello, and of the one it superseded

	// Server.mu guards the rest.
	inbox      [][]byte
	unread     int  // bytes in it
	scheduled  bool // in the queue, or with a worker
	begun      bool // a worker had it
	ended      bool
	superseded bool
	late       bool  // the deadline has passed, or that of a verdict
	verdict    error // that is not told yet; nil: none
	repeat     bool  // the flight's interval has passed
	repeats    int
	due, end   time.Time
	interval   time.Duration
}

// schedule brings c to a worker. The caller holds mu.
func (s *Server) schedule(c *conn) {
	if !c.scheduled && !c.ended {
		c.scheduled = true
		s.work.add(c, c.begun)
	}
}

// tick looks for flights to be repeated and handshakes to be ended. It looks at all
// of them, some thousand at most, and only while there are any.
func (s *Server) tick(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.byAddr {
		switch {
		case c.verdict != nil, !now.Before(c.end):
			c.late = true
			s.schedule(c)
		case !now.Before(c.due):
			c.interval *= 2 // RFC 6347 §4.2.4.1
			c.due = now.Add(c.interval)
			c.repeat = true
			s.schedule(c)
		}
	}
	if len(s.byAddr) > 0 {
		s.timer.Reset(s.o.FlightInterval / ticksPerFlight)
	}
}

// serve does what there is to do for c.
func (s *Server) serve(c *conn) {
	s.work.turns <- struct{}{}
	defer func() { <-s.work.turns }()
	for {
		s.mu.Lock()
		inbox, late, superseded, repeat := c.inbox, c.late, c.superseded, c.repeat
		s.taken(inbox)
		c.inbox, c.unread, c.repeat, c.begun = nil, 0, false, true
		if len(inbox) == 0 && !late && !superseded && !repeat {
			c.scheduled = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if superseded {
			s.end(c)
			c.place.Ended(nil)
			return
		}
		if s.read(c, inbox) {
			return
		}
		if late {
			s.fail(c, c.timeout())
			return
		}
		if (repeat || c.again) && c.repeatable() {
			_ = c.transmit(c.repeats) // cannot fail: sequence numbers last
		}
		c.again = false
	}
}

// taken counts what has left an inbox. The caller holds mu.
func (s *Server) taken(inbox [][]byte) {
	for _, d := range inbox {
		s.waiting -= len(d)
	}
}

// repeatable reports whether the client may have lost our flight, and counts the
// repetition.
func (c *conn) repeatable() bool {
	if c.verdict != nil || c.flight == 0 || c.repeats == maxRepeats {
		return false
	}
	c.repeats++
	return true
}

// timeout is the end of a handshake that took too long. A client whose identity has
// no key ends so too, if it does not insist.
func (c *conn) timeout() error {
	if c.verdict != nil {
		return c.verdict
	}
	if c.proof != nil && c.unknown != nil {
		return c.unknown
	}
	return fmt.Errorf("%w: no message of type %d", dtls.ErrTimeout, c.step().typ)
}

// read feeds the machine and reports whether that was the end of it.
func (s *Server) read(c *conn, inbox [][]byte) (ended bool) {
	if c.verdict != nil {
		return false
	}
	for i, d := range inbox {
		err := c.guarded(d)
		if f, ok := errors.AsType[*failure](err); ok && f.later {
			s.mu.Lock()
			defer s.mu.Unlock()
			c.verdict = err
			return false
		}
		if err != nil {
			s.fail(c, err)
			return true
		}
		if c.phase == phaseEstablished {
			s.finish(c, inbox[i+1:])
			return true
		}
	}
	return false
}

// guarded is receive, with a mistake of ours the end of one handshake and not of the
// program.
func (c *conn) guarded(d []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fail(alertInternalError, dtls.ErrHandshake, "panic: %v", p)
		}
	}()
	return c.receive(d)
}

// fail ends a handshake and tells the client and the host why.
func (s *Server) fail(c *conn, reason error) {
	s.end(c)
	if f, ok := errors.AsType[*failure](reason); ok {
		c.sendAlert(f.alert)
	}
	c.place.Ended(reason)
}

// finish hands a completed handshake over, then what came early.
func (s *Server) finish(c *conn, rest [][]byte) {
	next, err := c.place.Established(c.established())
	if err != nil {
		s.fail(c, &failure{alert: alertAccessDenied, reason: err})
		return
	}
	if c.last != nil {
		s.o.Host.Send(c.last, c.addr)
	}
	rest = append(append(c.early, rest...), s.end(c)...)
	if next == nil {
		return
	}
	for _, d := range rest {
		next(d)
	}
}

// end forgets a handshake and returns what it has not read.
func (s *Server) end(c *conn) (rest [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byAddr[c.addr] == c {
		delete(s.byAddr, c.addr)
	}
	c.ended = true
	s.running--
	s.taken(c.inbox)
	rest, c.inbox = c.inbox, nil
	return rest
}
