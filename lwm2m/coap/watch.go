package coap

import (
	"context"
	"slices"
	"time"
	"unique"
)

// An Observation is one that we hold with a peer (RFC 7641 §3). A quiet one is
// no more than what stands here: neither the call that established it nor its
// context is kept.
type Observation struct {
	e       *Engine
	peer    Peer
	notify  func(*Response)
	request unique.Handle[string] // a message without id and token; many are the same

	// The lock of the engine guards these.
	next     *Observation // in the table
	at       moment       // when sequence arrived
	sequence uint32
	hash     uint32 // of peer
	token    token
	state    observationState
}

type observationState uint8

const (
	asked observationState = iota // the peer has not accepted yet
	begun
	over
)

const (
	// maxSequence is the largest number that the Observe option holds.
	maxSequence = 1<<24 - 1
	// newestFor is how long sequence numbers are compared (RFC 7641 §3.4).
	newestFor = 128 * time.Second
	// maxQueued is the number of notifications of one observation that wait for
	// the function they are for; the oldest give way.
	maxQueued = 64
	// maxNews is the number of those of all observations of one peer.
	maxNews = 256
	// maxAllNews is the number of those of all peers, at which each has but one.
	maxAllNews = 1 << 15
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
	request := *r
	request.Observe = ObserveRegister
	t, err := e.newTransfer(p, &request)
	if err != nil {
		return nil, nil, err
	}
	o = &Observation{e: e, peer: p, notify: notify, token: t.token, request: unique.Make(request.frozen())}
	t.watch = o
	first, err = t.run(ctx)
	if err != nil {
		o.Forget()
		return nil, nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if o.state == asked {
		return first, nil, nil
	}
	return first, o, nil
}

// frozen returns r as the shortest text that it can be made of again.
func (r *Request) frozen() string {
	w := encoder{}
	t := CON
	if r.NonConfirmable {
		t = NON
	}
	w.head(t, r.Method, 0, nil)
	w.request(r, extra{})
	w.payload(r.Payload)
	return string(w.b)
}

// thawed returns the request of o.
func (o *Observation) thawed() (*Request, error) {
	m, err := Parse([]byte(o.request.Value()))
	if err != nil {
		return nil, err
	}
	var f fields
	f.decode(&m)
	return f.request(o.peer, &m), nil
}

// begin is called with the lock held when the peer has accepted.
func (o *Observation) begin(sequence uint32) {
	if o.state == asked {
		o.state, o.sequence, o.at = begun, sequence, o.e.now()
		o.e.watches.add(o, o.e.peerHash(o.peer))
	}
}

// Peer returns the peer that is observed.
func (o *Observation) Peer() Peer { return o.peer }

// Forget drops the observation without a word: the peer's next notification is
// reset, which ends it there too (RFC 7641 §3.6). notify may still be running.
func (o *Observation) Forget() {
	o.e.mu.Lock()
	defer o.e.mu.Unlock()
	o.e.watches.remove(o)
	o.state = over
	if l := o.e.links[o.peer]; l != nil && len(l.news) > 0 {
		before := len(l.news)
		l.news = slices.DeleteFunc(l.news, func(n notification) bool { return n.of == o })
		o.e.news -= before - len(l.news)
		o.e.tidy(l)
	}
}

// Cancel forgets the observation and tells the peer (RFC 7641 §3.6). The
// errors are those of Do; the observation is forgotten in any case.
func (o *Observation) Cancel(ctx context.Context) error {
	o.Forget()
	r, err := o.thawed()
	if err != nil {
		return err
	}
	r.Observe = ObserveCancel
	t := &transfer{e: o.e, peer: o.peer, request: r, token: o.token, szx: o.e.szx, cancels: true}
	_, err = t.upload(ctx)
	return err
}

// fresh reports whether a notification that arrives now is newer than the
// latest, and then makes it the latest.
func (o *Observation) fresh(sequence uint32) bool {
	const half = 1 << 23
	v1, v2 := o.sequence, sequence
	now := o.e.now()
	if (v1 >= v2 || v2-v1 >= half) && (v1 <= v2 || v1-v2 <= half) && now <= o.at+moment(newestFor) {
		return false
	}
	o.sequence, o.at = v2, now
	return true
}
