package coap

import (
	"bytes"
	"context"
	"errors"
	"slices"
)

// An observer is a peer's observation of one of our resources.
type observer struct {
	token  []byte
	key    string // of the request, for blocks
	method Code
	digest uint64 // of the request's body
	szx    uint8

	sentNON bool
	nonID   uint16 // of the latest non-confirmable notification
}

// enlist notes the observation that a request asks for before its handler runs,
// for the handler may begin to notify before it returns; or takes it back.
func (e *Engine) enlist(j *job) {
	l, r := j.link, j.req
	if r.Observe == ObserveNone {
		return
	}
	l.observers = slices.DeleteFunc(l.observers, func(o *observer) bool { return bytes.Equal(o.token, r.Token) })
	if r.Observe != ObserveRegister || len(l.observers) >= maxObserversPerPeer {
		return // above the limit the request is served as if it were a plain one
	}
	j.watch = &observer{
		token: r.Token, key: transferKey(r.Method, r.Path, r.Query, j.tag), method: r.Method,
		digest: e.digest(r.Payload), szx: e.szx,
	}
	if j.block2.set {
		j.watch.szx = min(e.szx, j.block2.szx)
	}
	l.observers = append(l.observers, j.watch)
}

// discharge takes back what enlist noted.
func (e *Engine) discharge(j *job) {
	if j.watch != nil {
		j.link.observers = remove(j.link.observers, j.watch)
		j.watch = nil
	}
}

// observer returns the observation with that token.
func (l *link) observer(token []byte) *observer {
	if l == nil {
		return nil
	}
	for _, o := range l.observers {
		if bytes.Equal(o.token, token) {
			return o
		}
	}
	return nil
}

// Notify sends a notification to the observer (p, token), whose registration a
// handler has accepted by Response.Observe. A zero code is 2.05; one of class 4
// or 5 ends the observation. Of a large body the first block is sent and the
// others are kept for the peer to fetch.
//
// A confirmable notification is waited for; one that is not returns at once.
// Errors are ErrReset when the peer has cancelled or rejected the observation,
// ErrTimeout, ErrClosed, ErrBusy, ErrMessage for a response without encoding,
// ErrTooLarge and the error of ctx. After ErrReset and ErrTimeout the observation is over (RFC
// 7641 §4.5), but for a timeout of a response with Keep.
func (e *Engine) Notify(ctx context.Context, p Peer, token []byte, r *Response, confirmable bool) error {
	n := *r
	if n.Code == Empty {
		n.Code = Content
	}
	n.Observe = n.Code.IsSuccess()
	if err := n.check(); err != nil {
		return err
	}
	if !confirmable {
		return e.notifyNON(p, token, &n)
	}
	err := e.confirm(ctx, p, func(l *link, id uint16) ([]byte, error) {
		return e.notification(l, token, &n, CON, id)
	})
	if errors.Is(err, ErrReset) || errors.Is(err, ErrTimeout) && !r.Keep {
		e.mu.Lock()
		defer e.mu.Unlock()
		if l := e.links[p]; l != nil {
			l.observers = remove(l.observers, l.observer(token))
			e.tidy(l)
		}
	}
	return err
}

func (e *Engine) notifyNON(p Peer, token []byte, n *Response) error {
	b := batch{}
	e.mu.Lock()
	l := e.links[p]
	o := l.observer(token)
	if o == nil {
		e.mu.Unlock()
		return ErrReset
	}
	id := e.nextID(l)
	datagram, err := e.notification(l, token, n, NON, id)
	if err == nil {
		o.sentNON, o.nonID = true, id
		b.add(p, datagram)
	}
	e.tidy(l)
	e.mu.Unlock()
	e.flush(&b)
	return err
}

// notification encodes n for the observer with that token.
func (e *Engine) notification(l *link, token []byte, n *Response, t Type, id uint16) ([]byte, error) {
	o := l.observer(token)
	if o == nil {
		return nil, ErrReset
	}
	r, x := *n, extra{}
	if !r.Observe {
		l.observers = remove(l.observers, o)
		r.Payload = r.Payload[:min(len(r.Payload), 16<<o.szx)]
	} else if total := len(r.Payload); total > 16<<o.szx {
		if !numbered(total, o.szx) {
			return nil, ErrTooLarge
		}
		kept := &body{link: l, key: o.key, data: r.Payload, head: r, digest: o.digest}
		kept.prepare(o.method, o.szx)
		if !e.keep(kept) {
			return nil, ErrBusy
		}
		r = kept.head
		var end int
		x.block2, end = blockAt(0, total, o.szx)
		x.size2 = uint32(total) //nolint:gosec // G115: its blocks are numbered by 20 bits
		r.Payload = kept.data[:end]
	}
	e.sequence = (e.sequence + 1) & maxSequence
	w := encoder{b: make([]byte, 0, datagramSize+len(r.Payload))}
	w.head(t, r.Code, id, o.token)
	w.response(&r, e.sequence, x)
	w.payload(r.Payload)
	return w.b, nil
}
