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
	rec    *received
	req    *Request
	id     uint16
	acked  bool  // by an empty ACK
	ack    timer // sends it
	block1 block // to be echoed in the response
	block2 block // wanted
	tag    []byte
	watch  *observer
}

// busyAge is the Max-Age in seconds of a 5.03: when to try again.
const busyAge = 2

// request takes a request message.
func (e *Engine) request(l *link, m *Message, f *fields, b *batch) {
	rec, duplicate := e.recall(l, m.ID)
	if duplicate {
		if rec.reply != nil && m.Type == CON {
			b.add(l.peer, rec.reply)
		}
		return
	}
	if f.unknown && m.Type == NON {
		return // rejected in silence (RFC 7252 §5.4.1)
	}
	j := &job{link: l, rec: rec, id: m.ID, req: f.request(l.peer, m), block2: f.block2, tag: bytes.Clone(f.tag)}
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

// begin admits a whole request to the handler, unless too many run.
func (e *Engine) begin(j *job, b *batch) {
	l := j.link
	if e.o.Handler == nil {
		e.reply(j, &Response{Code: NotFound}, extra{block1: j.block1}, b)
		return
	}
	if e.handlers >= e.o.MaxHandlers || l.handlers >= maxHandlersPerPeer {
		e.reply(j, &Response{Code: ServiceUnavailable, MaxAge: MaxAgeSeconds(busyAge)}, extra{block1: j.block1}, b)
		return
	}
	e.enlist(j)
	e.handlers++
	l.handlers++
	e.work.Add(1)
	b.job = j
}

// hand has j served: here and now if that is quick, else by a worker.
func (e *Engine) hand(j *job) {
	if e.o.Quick != nil && e.o.Quick(j.req) {
		j.run(e)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !j.req.NonConfirmable {
		j.ack.fire = func(b *batch) { e.acknowledge(j, b) }
		e.start(&j.ack, e.o.Params.ProcessingDelay)
	}
	e.assign(j)
}

// acknowledge tells the peer that the response will be separate (RFC 7252
// §5.2.2).
func (e *Engine) acknowledge(j *job, b *batch) {
	j.acked = true
	e.keepReply(j.rec, emptyMessage(ACK, j.id))
	if !j.link.gone {
		b.add(j.link.peer, j.rec.reply)
	}
}

// run calls the handler and sends what it answers.
func (j *job) run(e *Engine) {
	defer e.work.Done()
	resp := e.call(j)
	b := batch{}
	e.mu.Lock()
	e.answer(j, resp, &b)
	e.mu.Unlock()
	e.flush(&b)
	if resp != nil && resp.Sent != nil {
		resp.Sent()
	}
}

// call runs the handler; its panic is a 5.00 to the peer, not the end of all.
func (e *Engine) call(j *job) *Response {
	resp := &Response{Code: InternalServerError}
	ctx := life{e.done}
	func() {
		defer func() {
			if v := recover(); v != nil {
				e.o.Log.LogAttrs(ctx, slog.LevelError, "handler panicked", slog.String("peer", j.req.Peer.String()),
					slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			}
		}()
		resp = e.o.Handler.ServeCoAP(ctx, j.req)
	}()
	return resp
}

// answer takes the handler's response; nil is none.
func (e *Engine) answer(j *job, resp *Response, b *batch) {
	l := j.link
	e.handlers--
	l.handlers--
	e.stop(&j.ack)
	if l.gone {
		return
	}
	defer e.tidy(l)
	if resp == nil {
		e.discharge(j)
		if !j.req.NonConfirmable && !j.acked {
			e.keepReply(j.rec, emptyMessage(RST, j.id))
			b.add(l.peer, j.rec.reply)
		}
		return
	}
	r := *resp
	if err := r.check(); err != nil {
		e.o.Log.Error("response cannot be sent",
			slog.String("peer", l.peer.String()), slog.Any("reason", err))
		r = Response{Code: InternalServerError}
	}
	if r.Observe = r.Observe && r.Code.IsSuccess() && j.watch != nil; !r.Observe {
		e.discharge(j)
	}
	e.respond(j, &r, b)
}

// reply sends one response message: in the ACK, or, when an empty one has been
// sent, in a confirmable message; to a NON in a NON.
func (e *Engine) reply(j *job, r *Response, x extra, b *batch) {
	l := j.link
	m := Message{Type: ACK, Code: r.Code, ID: j.id, Token: j.req.Token, Payload: r.Payload}
	if r.Observe {
		e.sequence = (e.sequence + 1) & maxSequence
	}
	m.Options = responseOptions(r, e.sequence, x)
	switch {
	case j.req.NonConfirmable:
		m.Type, m.ID = NON, e.nextID(l)
	case j.acked:
		m.Type, m.ID = CON, e.nextID(l)
	}
	datagram, err := m.Append(nil)
	if err != nil {
		return // cannot be: the options were checked
	}
	switch {
	case m.Type == ACK:
		e.keepReply(j.rec, datagram)
		b.add(l.peer, datagram)
	case m.Type == CON && len(l.sent) < maxSentPerPeer:
		e.transmit(l, m.ID, datagram, b, func(err error) {
			if err != nil {
				e.discharge(j) // the peer will not have the observation
			}
		})
	default:
		b.add(l.peer, datagram)
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
