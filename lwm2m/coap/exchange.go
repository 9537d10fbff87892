package coap

import (
	"context"
	"crypto/rand"
)

// A token names a request of ours and what belongs to it. It is random, so that
// nobody off the path can guess it (RFC 7252 §5.3.1), and has 32 bits, as the
// RFC advises without transport security.
type token [4]byte

// An exchange is one request message of ours and the wait for its response. It
// is used again when it is over.
type exchange struct {
	link    *link
	token   token
	tx      transmission // unless the message is NON
	timer   timer        // limits the wait for a separate response
	holding bool         // occupies a place of NSTART
	ended   bool
	result  chan outcome // has room for the one outcome

	block1, block2 block        // of the request
	watch          *Observation // to be begun by the response; nil: none
	cancels        bool         // ends an observation: notifications are no response
	acknowledged   func()       // Request.Acknowledged
	ping           bool         // of a stream: a Pong is the response
}

// An outcome is how an exchange ended.
type outcome struct {
	reply *reply
	err   error
}

// roundTrip sends r with payload and x, and returns the response message. t is
// what the response belongs to.
func (e *Engine) roundTrip(ctx context.Context, t *transfer, r *Request, payload []byte, x extra) (*reply, error) {
	l, err := e.acquire(ctx, t.peer)
	if err != nil {
		return nil, err
	}
	ex, ok := e.exchanges.Get().(*exchange)
	if !ok {
		ex = &exchange{result: make(chan outcome, 1)}
	}
	b := batch{}
	e.mu.Lock()
	if l.gone {
		e.mu.Unlock()
		return nil, ErrClosed
	}
	ex.link, ex.token, ex.holding, ex.ended = l, t.token, true, false
	ex.block1, ex.block2, ex.watch, ex.cancels = x.block1, x.block2, t.watch, t.cancels
	ex.acknowledged, ex.ping = r.Acknowledged, r.Method == Ping
	l.pending = append(l.pending, ex)
	id := e.nextID(l)
	w := encoder{b: ex.tx.datagram[:0]}
	if r.NonConfirmable || l.stream {
		w.head(NON, r.Method, id, t.token[:])
	} else {
		w.head(CON, r.Method, id, t.token[:])
	}
	w.request(r, x)
	w.payload(payload)
	switch {
	case l.stream:
		e.acceptByStream(ex, w.b, &b)
	case r.NonConfirmable:
		ex.tx.datagram = w.b
		e.start(&ex.timer, ex, e.o.Params.ExchangeLifetime)
		b.add(t.peer, w.b)
	default:
		e.transmit(&ex.tx, ex, l, id, w.b, &b)
	}
	e.mu.Unlock()
	e.flush(&b)
	out := e.await(ctx, ex)
	e.exchanges.Put(ex)
	return out.reply, out.err
}

// await returns the outcome of x, of which nothing is left in the engine then.
func (e *Engine) await(ctx context.Context, x *exchange) outcome {
	select {
	case out := <-x.result:
		return out
	case <-ctx.Done():
	}
	e.mu.Lock()
	e.conclude(x, outcome{err: ctx.Err()})
	e.mu.Unlock()
	return <-x.result
}

// wake implements sleeper: no response has come.
func (x *exchange) wake(e *Engine, _ *batch) { e.conclude(x, outcome{err: ErrTimeout}) }

// sent implements sender.
func (x *exchange) sent(e *Engine, err error) {
	switch {
	case x.ended:
	case err != nil:
		e.conclude(x, outcome{err: err})
	default: // a separate response will follow (RFC 7252 §5.2.2)
		e.start(&x.timer, x, e.o.Params.ExchangeLifetime)
		e.free(x)
		if x.acknowledged != nil {
			x.acknowledged()
		}
	}
}

// conclude ends x once, and tidies its link.
func (e *Engine) conclude(x *exchange, out outcome) {
	if x.ended {
		return
	}
	x.ended = true
	l := x.link
	e.stop(&x.timer)
	l.pending = remove(l.pending, x)
	e.finish(&x.tx, nil)
	e.free(x)
	x.link, x.watch, x.acknowledged = nil, nil, nil
	x.result <- out
	e.tidy(l)
}

// free gives the place of NSTART back.
func (e *Engine) free(x *exchange) {
	if x.holding {
		x.holding = false
		e.release(x.link)
	}
}

// newToken returns a token that nothing in flight with p has.
func (e *Engine) newToken(p Peer) (t token) {
	hash := e.peerHash(p)
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		_, _ = rand.Read(t[:]) // never fails
		if e.links[p].exchange(t[:]) == nil && e.watches.find(hash, p, t[:]) == nil {
			return t
		}
	}
}

// exchange returns the request in flight with that token.
func (l *link) exchange(t []byte) *exchange {
	if l == nil {
		return nil
	}
	for _, x := range l.pending {
		if string(x.token[:]) == string(t) {
			return x
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
	if x := l.exchange(m.Token); x != nil && &x.tx == t {
		e.respondedTo(x, m, f)
	}
}

// separate takes a response in a message of its own: of a request, or a
// notification. What nobody waits for is reset, which ends an observation that
// we have forgotten (RFC 7641 §3.6).
func (e *Engine) separate(p Peer, m *Message, f *fields, b *batch) {
	hash, now := e.peerHash(p), e.now()
	if m.Type == CON {
		if reply, duplicate := e.recognise(nil, hash, m.ID, now); duplicate {
			if reply != nil {
				b.add(p, reply)
			}
			return
		}
	}
	x, o := e.links[p].exchange(m.Token), e.watches.find(hash, p, m.Token)
	if x == nil && (o == nil || f.unknown) {
		if !m.stream && (m.Type == CON || f.hasObserve) {
			b.add(p, emptyMessage(RST, m.ID))
		}
		return
	}
	if m.Type == CON {
		e.acknowledgeResponse(p, hash, now, m, f, b)
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
func (e *Engine) acknowledgeResponse(p Peer, hash uint64, now moment, m *Message, f *fields, b *batch) {
	at := e.remember(hash, m.ID, now)
	reply := emptyMessage(ACK, m.ID)
	if f.unknown {
		reply = emptyMessage(RST, m.ID)
	}
	e.keepReply(at, reply)
	b.add(p, reply)
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
		x.watch.begin(f.observe)
	}
	e.conclude(x, outcome{reply: f.response(m)})
}
