package coap

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// An Observation is one that we hold with a peer (RFC 7641 §3).
type Observation struct {
	e       *Engine
	peer    Peer
	request Request
	token   []byte
	notify  func(*Response)

	// The lock of the engine guards these.
	begun     bool
	forgotten bool
	sequence  uint32
	at        time.Time // when sequence arrived
	queue     []*reply
	running   bool // a goroutine drains the queue
}

const (
	// maxSequence is the largest number that the Observe option holds.
	maxSequence = 1<<24 - 1
	// newestFor is how long sequence numbers are compared (RFC 7641 §3.4).
	newestFor = 128 * time.Second
	// maxQueued is the number of notifications that wait for the function
	// they are for; the oldest give way.
	maxQueued = 64
)

// Observe registers an observation of r, a GET or FETCH, with p and returns
// the first response. notify is called for each notification that is newer
// than those before (RFC 7641 §3.4), one at a time and in order, with bodies
// complete; a response without Observe, such as an error, is the last one. It may
// be called before Observe returns, and is not told of Closed. o is nil if the
// peer answered without accepting. Errors are those of Do.
func (e *Engine) Observe(
	ctx context.Context, p Peer, r *Request, notify func(*Response),
) (first *Response, o *Observation, err error) {
	o = &Observation{e: e, peer: p, request: *r, notify: notify}
	o.request.Observe = ObserveRegister
	t, err := e.newTransfer(p, &o.request)
	if err != nil {
		return nil, nil, err
	}
	o.token, t.watch = t.token, o
	first, err = t.run(ctx)
	e.mu.Lock()
	begun := o.begun
	e.mu.Unlock()
	if err != nil {
		o.Forget()
		return nil, nil, err
	}
	if !begun {
		return first, nil, nil
	}
	return first, o, nil
}

// begin is called with the lock held when the peer has accepted.
func (o *Observation) begin(l *link, sequence uint32) {
	o.begun, o.sequence, o.at = true, sequence, time.Now()
	l.watches = append(l.watches, o)
}

// Peer returns the peer that is observed.
func (o *Observation) Peer() Peer { return o.peer }

// Forget drops the observation without a word: the peer's next notification is
// reset, which ends it there too (RFC 7641 §3.6). notify may still be running.
func (o *Observation) Forget() {
	o.e.mu.Lock()
	defer o.e.mu.Unlock()
	o.forgotten, o.queue = true, nil
	if l := o.e.links[o.peer]; l != nil {
		l.watches = remove(l.watches, o)
		o.e.tidy(l)
	}
}

// Cancel forgets the observation and tells the peer (RFC 7641 §3.6). The
// errors are those of Do; the observation is forgotten in any case.
func (o *Observation) Cancel(ctx context.Context) error {
	o.Forget()
	r := o.request
	r.Observe = ObserveCancel
	t := &transfer{e: o.e, peer: o.peer, request: &r, token: o.token, szx: o.e.szx, cancels: true}
	_, err := t.upload(ctx)
	return err
}

// fresh reports whether a notification that arrives now is newer than the
// latest, and then makes it the latest.
func (o *Observation) fresh(sequence uint32) bool {
	const half = 1 << 23
	v1, v2 := o.sequence, sequence
	now := time.Now()
	if (v1 >= v2 || v2-v1 >= half) && (v1 <= v2 || v1-v2 <= half) && !now.After(o.at.Add(newestFor)) {
		return false
	}
	o.sequence, o.at = v2, now
	return true
}

// notified takes a notification.
func (e *Engine) notified(o *Observation, m *Message, f *fields) {
	if f.unknown || f.block2.szx == szxReserved {
		return
	}
	if f.hasObserve && m.Code.IsSuccess() {
		if !o.fresh(f.observe) {
			return
		}
	} else if l := e.links[o.peer]; l != nil {
		l.watches = remove(l.watches, o)
		defer e.tidy(l)
	}
	if len(o.queue) >= maxQueued {
		o.queue = slices.Delete(o.queue, 0, 1)
	}
	o.queue = append(o.queue, f.response(m))
	if !o.running {
		o.running = true
		e.work.Add(1)
		go o.deliver()
	}
}

// deliver drains the queue.
func (o *Observation) deliver() {
	defer o.e.work.Done()
	for {
		o.e.mu.Lock()
		if len(o.queue) == 0 {
			o.running, o.queue = false, nil
			o.e.mu.Unlock()
			return
		}
		first := o.queue[0]
		o.queue = slices.Delete(o.queue, 0, 1)
		o.e.mu.Unlock()
		o.complete(first)
	}
}

// complete fetches the other blocks of a notification (RFC 7959 §3.4) and
// hands it over.
func (o *Observation) complete(first *reply) {
	t := &transfer{e: o.e, peer: o.peer, request: &o.request, szx: o.e.szx}
	ctx := life{o.e.done}
	r, err := t.download(ctx, first)
	if err != nil {
		o.e.o.Log.LogAttrs(ctx, slog.LevelInfo, "notification incomplete",
			slog.String("peer", o.peer.String()), slog.Any("reason", err))
		return
	}
	o.e.mu.Lock()
	forgotten := o.forgotten
	o.e.mu.Unlock()
	if !forgotten {
		o.notify(r)
	}
}
