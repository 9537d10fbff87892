package coap

import (
	"math/rand/v2"
	"slices"
	"time"
)

// A sender is what a transmission belongs to.
type sender interface {
	// sent is called once with the lock held: nil acknowledged, ErrReset,
	// ErrTimeout or ErrClosed.
	sent(e *Engine, err error)
}

// A transmission is a confirmable message of ours that awaits its ACK. The zero
// transmission has ended.
type transmission struct {
	owner    sender
	link     *link // nil: ended
	id       uint16
	datagram []byte
	tries    int           // retransmissions so far
	pause    time.Duration // before the next
	timer    timer
}

// transmit sends a confirmable message and repeats it until finish, with
// binary exponential back-off (RFC 7252 §4.2).
func (e *Engine) transmit(t *transmission, owner sender, l *link, id uint16, datagram []byte, b *batch) {
	p := &e.o.Params
	t.owner, t.link, t.id, t.datagram, t.tries = owner, l, id, datagram, 0
	spread := float64(p.AckTimeout) * (p.AckRandomFactor - 1)
	t.pause = p.AckTimeout + time.Duration(spread*rand.Float64()) //nolint:gosec // G404: jitter, no secret
	l.sent = append(l.sent, t)
	e.start(&t.timer, t, t.pause)
	b.add(l.peer, datagram)
}

// wake implements sleeper: it repeats the message, or gives up.
func (t *transmission) wake(e *Engine, b *batch) {
	l := t.link
	if t.tries == e.o.Params.MaxRetransmit {
		e.finish(t, ErrTimeout)
		e.tidy(l)
		return
	}
	t.tries++
	t.pause *= 2
	e.start(&t.timer, t, t.pause)
	// A copy, for the answer may come, and the datagram's place be used again,
	// before it is sent.
	b.add(l.peer, slices.Clone(t.datagram))
}

// finish ends t, if it has not ended. The caller tidies the link.
func (e *Engine) finish(t *transmission, err error) {
	if t.link == nil {
		return
	}
	e.stop(&t.timer)
	t.link.sent = remove(t.link.sent, t)
	t.link = nil
	t.owner.sent(e, err)
}

// sentBy returns the message in flight with that id.
func (l *link) sentBy(id uint16) *transmission {
	if l == nil {
		return nil
	}
	for _, t := range l.sent {
		if t.id == id {
			return t
		}
	}
	return nil
}

// acknowledged takes an empty ACK.
func (e *Engine) acknowledged(l *link, id uint16) {
	if t := l.sentBy(id); t != nil {
		e.finish(t, nil)
		e.tidy(l)
	}
}

// reset takes an RST: of a message in flight, or of the latest
// non-confirmable notification of an observation.
func (e *Engine) reset(l *link, id uint16) {
	if l == nil {
		return
	}
	if t := l.sentBy(id); t != nil {
		e.finish(t, ErrReset)
	} else {
		l.observers = slices.DeleteFunc(l.observers, func(o *observer) bool { return o.sentNON && o.nonID == id })
	}
	e.tidy(l)
}
