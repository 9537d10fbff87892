package coap

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
)

// An exchange is one request message of ours and the wait for its response.
type exchange struct {
	link    *link
	token   []byte
	tx      *transmission // nil for NON
	timer   timer         // limits the wait for a separate response
	holding bool          // occupies a place of NSTART
	ended   bool
	result  chan outcome // has room for the one outcome

	block1, block2 block        // of the request
	watch          *Observation // to be begun by the response; nil: none
	cancels        bool         // ends an observation: notifications are no response
}

// An outcome is how an exchange ended.
type outcome struct {
	reply *reply
	err   error
}

// roundTrip sends m and returns the response message. x may carry what the
// response is judged by.
func (e *Engine) roundTrip(ctx context.Context, p Peer, m Message, x *exchange) (*reply, error) {
	l, err := e.acquire(ctx, p)
	if err != nil {
		return nil, err
	}
	b := batch{}
	e.mu.Lock()
	if l.gone {
		e.mu.Unlock()
		return nil, ErrClosed
	}
	x.link, x.token, x.holding, x.result = l, m.Token, true, make(chan outcome, 1)
	x.timer.fire = func(*batch) { e.conclude(x, outcome{err: ErrTimeout}) }
	m.ID = e.nextID(l)
	datagram, err := m.Append(nil)
	if err != nil {
		e.free(x)
		e.mu.Unlock()
		return nil, err
	}
	l.pending = append(l.pending, x)
	if m.Type == CON {
		x.tx = e.transmit(l, m.ID, datagram, &b, func(err error) { e.delivered(x, err) })
	} else {
		e.start(&x.timer, e.o.Params.ExchangeLifetime)
		b.add(p, datagram)
	}
	e.mu.Unlock()
	e.flush(&b)
	select {
	case out := <-x.result:
		return out.reply, out.err
	case <-ctx.Done():
	}
	e.mu.Lock()
	e.conclude(x, outcome{err: ctx.Err()})
	e.mu.Unlock()
	out := <-x.result
	return out.reply, out.err
}

// delivered learns that the request has been acknowledged or given up.
func (e *Engine) delivered(x *exchange, err error) {
	switch {
	case x.ended:
	case err != nil:
		e.conclude(x, outcome{err: err})
	default: // a separate response will follow (RFC 7252 §5.2.2)
		e.start(&x.timer, e.o.Params.ExchangeLifetime)
		e.free(x)
	}
}

// conclude ends x once, and tidies its link.
func (e *Engine) conclude(x *exchange, out outcome) {
	if x.ended {
		return
	}
	x.ended = true
	e.stop(&x.timer)
	x.link.pending = remove(x.link.pending, x)
	if x.tx != nil {
		e.finish(x.tx, nil)
	}
	x.result <- out
	e.free(x)
	e.tidy(x.link)
}

// free gives the place of NSTART back.
func (e *Engine) free(x *exchange) {
	if x.holding {
		x.holding = false
		e.release(x.link)
	}
}

// newToken returns a token that nothing in flight with p has. It is random, so
// that nobody off the path can guess it (RFC 7252 §5.3.1).
func (e *Engine) newToken(p Peer) []byte {
	const size = 4 // 32 bits, as the RFC advises without transport security
	token := make([]byte, size)
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		_, _ = rand.Read(token) // never fails
		l := e.links[p]
		if l == nil || (l.exchange(token) == nil && l.watch(token) == nil) {
			return token
		}
	}
}

// exchange returns the request in flight with that token.
func (l *link) exchange(token []byte) *exchange {
	for _, x := range l.pending {
		if bytes.Equal(x.token, token) {
			return x
		}
	}
	return nil
}

// watch returns our observation with that token.
func (l *link) watch(token []byte) *Observation {
	for _, o := range l.watches {
		if bytes.Equal(o.token, token) {
			return o
		}
	}
	return nil
}

// piggybacked takes a response in an ACK. One with a foreign token is ignored
// (RFC 7252 §5.3.2).
func (e *Engine) piggybacked(l *link, m *Message, f *fields) {
	t := l.sentBy(m.ID)
	if t == nil {
		return
	}
	if x := l.exchange(m.Token); x != nil && x.tx == t {
		e.respondedTo(x, m, f)
	}
}

// separate takes a response in a message of its own: of a request, or a
// notification. What nobody waits for is reset, which ends an observation that
// we have forgotten (RFC 7641 §3.6).
func (e *Engine) separate(p Peer, m *Message, f *fields, b *batch) {
	l := e.links[p]
	if l == nil {
		l = &link{}
	}
	if r := e.dedup.table[dedupKey{l, m.ID}]; r != nil && m.Type == CON {
		if r.reply != nil {
			b.add(p, r.reply)
		}
		return
	}
	x, o := l.exchange(m.Token), l.watch(m.Token)
	if x == nil && (o == nil || f.unknown) {
		if m.Type == CON || f.hasObserve {
			b.add(p, emptyMessage(RST, m.ID))
		}
		return
	}
	if m.Type == CON {
		e.acknowledgeResponse(l, m, f, b)
	}
	switch {
	case x == nil:
		e.notified(o, m, f)
	case !x.strange(f):
		e.respondedTo(x, m, f)
	}
}

// acknowledgeResponse accepts a confirmable response that somebody waits for,
// or rejects it for a critical option that we do not know.
func (e *Engine) acknowledgeResponse(l *link, m *Message, f *fields, b *batch) {
	r, _ := e.recall(l, m.ID)
	reply := ACK
	if f.unknown {
		reply = RST
	}
	e.keepReply(r, emptyMessage(reply, m.ID))
	b.add(l.peer, r.reply)
}

// strange reports whether a separate response belongs to another block of the
// transfer, whose blocks share one token, or is a late notification of the
// observation that x ends.
func (x *exchange) strange(f *fields) bool {
	return (x.cancels && f.hasObserve) ||
		(x.block1.set && f.block1.set && f.block1.num != x.block1.num) ||
		(x.block2.set && f.block2.set && f.block2.offset() != x.block2.offset())
}

// respondedTo ends x by a response.
func (e *Engine) respondedTo(x *exchange, m *Message, f *fields) {
	switch {
	case f.unknown:
		e.conclude(x, outcome{err: ErrOption})
		return
	case f.block1.szx == szxReserved || f.block2.szx == szxReserved:
		e.conclude(x, outcome{err: ErrBlock})
		return
	}
	if x.watch != nil && f.hasObserve && m.Code.IsSuccess() {
		x.watch.begin(x.link, f.observe)
	}
	e.conclude(x, outcome{reply: f.response(m)})
}

// confirm sends a confirmable message that build makes with the lock held, and
// waits for its ACK. An error of build ends it.
func (e *Engine) confirm(ctx context.Context, p Peer, build func(l *link, id uint16) ([]byte, error)) error {
	l, err := e.acquire(ctx, p)
	if err != nil {
		return err
	}
	b := batch{}
	e.mu.Lock()
	if l.gone {
		e.mu.Unlock()
		return ErrClosed
	}
	id := e.nextID(l)
	datagram, err := build(l, id)
	if err != nil {
		e.release(l)
		e.mu.Unlock()
		return err
	}
	result := make(chan error, 1)
	t := e.transmit(l, id, datagram, &b, func(err error) {
		result <- err
		e.release(l)
	})
	e.mu.Unlock()
	e.flush(&b)
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	e.mu.Lock()
	e.finish(t, ctx.Err())
	e.mu.Unlock()
	return <-result
}

// Ping asks whether p is there (RFC 7252 §4.3). It returns nil when the peer
// has answered, else ErrTimeout, ErrClosed, ErrBusy or the error of ctx.
func (e *Engine) Ping(ctx context.Context, p Peer) error {
	err := e.confirm(ctx, p, func(_ *link, id uint16) ([]byte, error) {
		return emptyMessage(CON, id), nil
	})
	if errors.Is(err, ErrReset) {
		return nil
	}
	return err
}
