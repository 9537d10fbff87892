package coap

import (
	"math/rand/v2"
	"slices"
	"time"
)

// A transmission is a confirmable message of ours that awaits its ACK.
type transmission struct {
	link     *link
	id       uint16
	datagram []byte
	tries    int           // retransmissions so far
	wait     time.Duration // before the next
	timer    timer
	// done is called once with the lock held: nil acknowledged, ErrReset,
	// ErrTimeout or ErrClosed. It may itself be nil.
	done func(err error)
}

// transmit sends a confirmable message and repeats it until finish, with
// binary exponential back-off (RFC 7252 §4.2).
func (e *Engine) transmit(l *link, id uint16, datagram []byte, b *batch, done func(error)) *transmission {
	p := e.o.Params
	t := &transmission{link: l, id: id, datagram: datagram, done: done}
	spread := float64(p.AckTimeout) * (p.AckRandomFactor - 1)
	t.wait = p.AckTimeout + time.Duration(spread*rand.Float64()) //nolint:gosec // G404: jitter, no secret
	t.timer.fire = func(b *batch) { e.retransmit(t, b) }
	l.sent = append(l.sent, t)
	e.start(&t.timer, t.wait)
	b.add(l.peer, datagram)
	return t
}

func (e *Engine) retransmit(t *transmission, b *batch) {
	if t.tries == e.o.Params.MaxRetransmit {
		e.finish(t, ErrTimeout)
		e.tidy(t.link)
		return
	}
	t.tries++
	t.wait *= 2
	e.start(&t.timer, t.wait)
	b.add(t.link.peer, t.datagram)
}

// finish ends t, if it has not ended. The caller tidies the link.
func (e *Engine) finish(t *transmission, err error) {
	if !slices.Contains(t.link.sent, t) {
		return
	}
	e.stop(&t.timer)
	t.link.sent = remove(t.link.sent, t)
	if t.done != nil {
		t.done(err)
	}
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
