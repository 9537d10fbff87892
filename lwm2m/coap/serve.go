package coap

import (
	"bytes"
	"context"
	"log/slog"
	"runtime/debug"
	"time"
)

// A job is one request on its way through the handler.
type job struct {
	link   *link
	rec    mark
	req    *Request
	id     uint16
	acked  bool  // by an empty ACK
	ack    timer // sends it
	tx     transmission
	block1 block // to be echoed in the response
	block2 block // wanted
	tag    []byte
	watch  *observer
}

// busyAge is the Max-Age in seconds of a 5.03: when to try again.
const busyAge = 2

// request takes a request message.
func (e *Engine) request(p Peer, m *Message, f *fields, b *batch) {
	var rec mark
	if !m.stream { // on which nothing comes twice
		hash, now := e.peerHash(p), e.now()
		if reply, duplicate := e.recognise(nil, hash, m.ID, now); duplicate {
			if reply != nil && m.Type == CON {
				b.add(p, reply)
			}
			return
		}
		rec = e.remember(hash, m.ID, now)
	}
	e.stats.Requests++
	if f.unknown && m.Type == NON && !m.stream {
		return // rejected in silence (RFC 7252 §5.4.1)
	}
	l := e.link(p)
	defer e.tidy(l)
	j := &job{link: l, rec: rec, id: m.ID, req: f.request(p, m), block2: f.block2, tag: bytes.Clone(f.tag)}
	e.part(j)
	if f.block2.num > 0 {
		j.req.Observe = ObserveNone // later blocks carry none (RFC 7959 §3.4)
	}
	if code := refusal(m, f); code != Empty {
		e.reply(j, &Response{Code: code}, extra{}, b)
		return
	}
	if f.block1.set && !e.receiveBlock(j, f, b) {
		return
	}
	if f.block2.set && f.block2.num > 0 && e.serveBlock(j, b) {
		return
	}
	e.begin(j, b)
}

// refusal returns the code of a request that no handler shall see, Empty for
// any other.
func refusal(m *Message, f *fields) Code {
	switch {
	case f.unknown:
		return BadOption
	case f.proxy:
		return ProxyingNotSupported // RFC 7252 §5.10.2
	case f.block1.szx == szxReserved || f.block2.szx == szxReserved:
		return BadRequest // RFC 7959 §2.2
	case f.block1.set && (m.Code == GET || m.Code == DELETE):
		return BadOption
	default:
		return Empty
	}
}

// begin has a worker run the handler of a whole request, unless too many do.
func (e *Engine) begin(j *job, b *batch) {
	l := j.link
	if e.o.Handler == nil {
		e.reply(j, &Response{Code: NotFound}, extra{block1: j.block1}, b)
		return
	}
	if e.workers.busy >= e.o.MaxHandlers || l.handlers >= maxHandlersPerPeer {
		e.stats.Refused++
		e.reply(j, &Response{Code: ServiceUnavailable, MaxAge: MaxAgeSeconds(busyAge)}, extra{block1: j.block1}, b)
		return
	}
	e.enlist(j)
	l.handlers++
	if !j.req.NonConfirmable {
		e.start(&j.ack, j, e.o.Params.ProcessingDelay)
	}
	e.assign(j)
}

// wake implements sleeper: it tells the peer that the response will be separate
// (RFC 7252 §5.2.2).
func (j *job) wake(e *Engine, b *batch) {
	j.acked = true
	ack := emptyMessage(ACK, j.id)
	e.keepReply(j.rec, ack)
	if !j.link.gone {
		b.add(j.link.peer, ack)
	}
}

// run implements task: it calls the handler and sends what it answers.
func (j *job) run(e *Engine) {
	resp := e.call(j.req)
	b := batch{}
	e.mu.Lock()
	l := j.link
	l.handlers--
	e.stop(&j.ack)
	if !l.gone {
		e.finishJob(j, resp, &b)
		e.tidy(l)
	}
	e.mu.Unlock()
	e.flush(&b)
	if resp != nil && resp.Sent != nil {
		resp.Sent()
	}
}

// call runs the handler; its panic is a 5.00 to the peer, not the end of all.
func (e *Engine) call(r *Request) *Response {
	var resp *Response
	ctx, returned := life{e.done}, false
	func() {
		defer func() {
			if v := recover(); v != nil {
				e.o.Log.LogAttrs(ctx, slog.LevelError, "handler panicked", slog.String("peer", r.Peer.String()),
					slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			}
		}()
		resp = e.o.Handler.ServeCoAP(ctx, r)
		returned = true
	}()
	if !returned {
		return &Response{Code: InternalServerError}
	}
	return resp
}

// finishJob takes the handler's response; nil is none.
func (e *Engine) finishJob(j *job, resp *Response, b *batch) {
	l := j.link
	if resp == nil {
		e.discharge(j)
		if !j.req.NonConfirmable && !j.acked {
			reset := emptyMessage(RST, j.id)
			e.keepReply(j.rec, reset)
			b.add(l.peer, reset)
		}
		return
	}
	r := *resp
	if err := r.check(); err != nil {
		e.unsendable(l.peer, err)
		r = Response{Code: InternalServerError}
	}
	if r.Observe = r.Observe && r.Code.IsSuccess() && j.watch != nil; !r.Observe {
		e.discharge(j)
	}
	e.respond(j, &r, b)
}

// unsendable tells of a handler's response that has no encoding.
func (e *Engine) unsendable(p Peer, err error) {
	e.o.Log.Error("response cannot be sent", slog.String("peer", p.String()), slog.Any("reason", err))
}

// reply sends one response message: in the ACK, or, when an empty one has been
// sent, in a confirmable message; to a NON in a NON.
func (e *Engine) reply(j *job, r *Response, x extra, b *batch) {
	l := j.link
	if r.Observe {
		e.sequence = (e.sequence + 1) & maxSequence
	}
	t, id := ACK, j.id
	switch {
	case j.req.NonConfirmable:
		t, id = NON, e.nextID(l)
	case j.acked:
		t, id = CON, e.nextID(l)
	}
	w := encoder{b: make([]byte, 0, datagramSize+len(r.Payload))}
	w.head(t, r.Code, id, j.req.Token)
	w.response(r, e.sequence, x)
	w.payload(r.Payload)
	switch {
	case t == ACK:
		e.keepReply(j.rec, w.b)
		b.add(l.peer, w.b)
	case t == CON && len(l.sent) < maxSentPerPeer:
		e.transmit(&j.tx, j, l, id, w.b, b)
	default:
		b.add(l.peer, w.b)
	}
}

// datagramSize is the usual size of a message without its payload, in bytes.
const datagramSize = 40

// sent implements sender: without its acceptance the peer has no observation.
func (j *job) sent(e *Engine, err error) {
	if err != nil {
		e.discharge(j)
	}
}

// life is the context of handlers: it ends with Run.
type life struct{ done <-chan struct{} }

// Deadline reports none.
func (life) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Done is closed when Run ends.
func (c life) Done() <-chan struct{} { return c.done }

// Err returns context.Canceled once Run has ended.
func (c life) Err() error {
	select {
	case <-c.done:
		return context.Canceled
	default:
		return nil
	}
}

// Value holds nothing.
func (life) Value(any) any { return nil }
