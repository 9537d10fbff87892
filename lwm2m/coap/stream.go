package coap

import (
	"context"
	"encoding/binary"
	"log/slog"
)

// A Streamer is a Peer that may be reached by a stream (RFC 8323). What is handed
// to Send has the form of a datagram all the same: AppendFrame makes a frame of it.
type Streamer interface {
	// Stream reports whether messages arrive whole, once and in order. It never
	// changes.
	Stream() bool
}

// isStream reports whether p is a stream.
func isStream(p Peer) bool {
	s, ok := p.(Streamer)
	return ok && s.Stream()
}

// ReceiveFrame takes one whole frame from p, a Streamer. It is to streams what
// Receive is to datagrams: there are no message identifiers, hence neither
// acknowledgements, nor repetitions, nor duplicates; all else is the same. A Ping
// is answered; the other signals are the transport's. It returns ErrMessage for
// what is no message, after which nothing on the stream can be relied on, and
// ErrOption for a critical option in a signal. Options.Trace sees the message as a
// datagram: non-confirmable, its id 0.
func (e *Engine) ReceiveFrame(p Peer, frame []byte) error {
	in, ok := e.pool.Get().(*inbox)
	if !ok {
		return nil // cannot be: the pool makes nothing else
	}
	defer e.pool.Put(in)
	if err := in.message.parseFrame(frame); err != nil {
		e.mu.Lock()
		e.stats.Malformed++
		e.mu.Unlock()
		e.o.Log.Info("malformed frame", slog.String("peer", p.String()), slog.Any("reason", err))
		return err
	}
	if e.o.Trace != nil {
		if datagram, err := in.message.Append(nil); err == nil {
			e.o.Trace(p, false, datagram)
		}
	}
	m := &in.message
	switch {
	case m.Code.IsSignal():
		return e.signal(p, m)
	case m.Code == Empty:
		return nil // RFC 8323 §3.4
	}
	in.fields.decode(m)
	if e.quick(p, in) {
		return nil
	}
	b := batch{}
	e.mu.Lock()
	if !e.stopped {
		e.dispatch(p, m, &in.fields, &b)
	}
	e.mu.Unlock()
	e.flush(&b)
	return nil
}

// signal serves Ping and Pong (RFC 8323 §5.4).
func (e *Engine) signal(p Peer, m *Message) error {
	const custody = 2
	for _, o := range m.Options {
		if o.ID&1 == 1 {
			return ErrOption // RFC 8323 §5.2
		}
	}
	if m.Code == Ping {
		w := encoder{}
		w.head(NON, Pong, 0, m.Token)
		for _, o := range m.Options {
			if o.ID == custody { // all that came before has been looked at
				writeOption(&w, custody, "")
				break
			}
		}
		e.send(p, w.b)
	}
	if m.Code == Pong {
		e.mu.Lock()
		if x := e.links[p].exchange(m.Token); x != nil && x.ping {
			e.conclude(x, outcome{reply: &reply{Response: Response{Code: Pong}}})
		}
		e.mu.Unlock()
	}
	return nil
}

// pingStream is Ping for streams.
func (e *Engine) pingStream(ctx context.Context, p Peer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, e.o.Params.transmitSpan(), ErrTimeout)
	defer cancel()
	_, err := e.roundTrip(ctx, &transfer{e: e, peer: p, token: e.newToken(p)}, &Request{Method: Ping}, nil, extra{})
	if err != nil && context.Cause(ctx) == ErrTimeout { //nolint:errorlint // the cause is never wrapped
		return ErrTimeout
	}
	return err
}

// acceptByStream ends the sending of a message that a stream has taken: nobody
// will acknowledge it.
func (e *Engine) acceptByStream(x *exchange, datagram []byte, b *batch) {
	x.tx.datagram = datagram
	b.add(x.link.peer, datagram)
	x.sent(e, nil)
}

// withoutID gives a datagram the form that streams have: non-confirmable.
func withoutID(datagram []byte) []byte {
	datagram[0] = datagram[0]&^(3<<4) | byte(NON)<<4
	binary.BigEndian.PutUint16(datagram[2:], 0)
	return datagram
}

// unsent ends the request in a datagram that a stream has not taken, by
// ErrTooLarge: it will not be sent again, and nobody answers it.
func (e *Engine) unsent(p Peer, datagram []byte) {
	if !isStream(p) {
		return
	}
	token := datagram[headerSize : headerSize+int(datagram[0]&15)]
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.links[p].exchange(token); x != nil && Code(datagram[1]).IsRequest() {
		e.conclude(x, outcome{err: ErrTooLarge})
	}
}
