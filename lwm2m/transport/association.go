package transport

import (
	"errors"
	"sync"

	"steward/lwm2m/dtls"
)

const (
	// maxForged is how many records may fail to authenticate before an association
	// ends, so that nobody can guess for ever: about the limit of AES-CCM in RFC 9147
	// §4.5.3, 2^23.5. Each guess at a tag of 8 bytes succeeds once in 2^64. Its peer
	// makes a new handshake; a restart of the program begins the count anew.
	maxForged = 1 << 23

	alertWarning         = 1
	alertFatal           = 2
	alertCloseNotify     = 0
	alertNoRenegotiation = 100
)

// buffers are scratch space for one record or datagram each.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, MaxDatagram+recordOverhead)
	return &b
}}

// An arrival is a datagram that came in.
type arrival struct {
	datagram []byte
	from     address
	now      instant
	shard    *shard
	stamp    int64 // when the kernel received it, in Unix nanoseconds; 0: unknown
}

// sendTo seals one record for an association and sends it. It returns ErrClosed
// or dtls.ErrExhausted, or the network's error.
func (l *Listener) sendTo(f ref, t dtls.ContentType, plaintext []byte) error {
	buffer, _ := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	r := l.table.row(f.slot)
	r.mu.Lock()
	if r.alive(f.generation) && r.is(unjudged) {
		r.mu.Unlock()
		l.judge(f)
		r.mu.Lock()
	}
	if !r.alive(f.generation) {
		r.mu.Unlock()
		return ErrClosed
	}
	out, err := l.seal(f, r, (*buffer)[:0], t, plaintext)
	to, s := r.addr, l.shards[r.shard]
	var stamp int64
	if at := l.table.stamp(f.slot); at != nil {
		stamp, *at = *at, 0
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}
	return s.send(out, to, stamp)
}

// receive handles the protected records of a datagram and reports whether one
// was authentic.
func (l *Listener) receiveFor(f ref, a arrival) bool {
	buffer, _ := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	authentic := false
	for rest := a.datagram; len(rest) > 0; {
		r, next, err := dtls.ParseRecord(rest)
		if err != nil {
			l.stats.drop(DropMalformed)
			break
		}
		rest = next
		if r.Epoch == 0 {
			if r.Type == dtls.Alert { // anybody could have written it
				l.stats.drop(DropPlaintext)
			}
			continue // a repeated flight has its Finished behind such records
		}
		o, p, err := l.open(f, (*buffer)[:0], r, a)
		if err != nil {
			if !errors.Is(err, dtls.ErrReplay) || !l.finishedAgain(f, r) {
				l.stats.drop(dropReason(err))
			}
			continue
		}
		authentic = true
		l.handle(p, o)
	}
	return authentic
}

// dropReason names an error of dtls.Session.Open.
func dropReason(err error) DropReason {
	switch {
	case errors.Is(err, dtls.ErrReplay):
		return DropReplay
	case errors.Is(err, dtls.ErrForged):
		return DropForged
	case errors.Is(err, dtls.ErrEpoch), errors.Is(err, dtls.ErrCID):
		return DropMismatch
	default:
		return DropMalformed
	}
}

// open authenticates one record and follows the peer to another address if the
// record is its newest (RFC 9146 §6). Without an identifier the address is how
// it was found, and cannot change.
func (l *Listener) open(f ref, dst []byte, record dtls.Record, a arrival) (dtls.Opened, *peer, error) {
	r := l.table.row(f.slot)
	r.mu.Lock()
	if !r.alive(f.generation) {
		r.mu.Unlock()
		return dtls.Opened{}, nil, dtls.ErrCID
	}
	o, err := r.session.Open(dst, record)
	if err != nil {
		if errors.Is(err, dtls.ErrForged) {
			r.forged++
		}
		worn := r.forged >= maxForged
		r.mu.Unlock()
		if worn {
			l.end(f, true)
		}
		return o, nil, err
	}
	said, moved := l.note(f, r, o, a)
	p := l.peerOf(f)
	r.mu.Unlock()
	if said&unjudged != 0 && !l.judge(f) {
		return dtls.Opened{}, nil, dtls.ErrCID
	}
	if said&inFlight != 0 && o.Type == dtls.ApplicationData {
		l.flights.drop(f)
	}
	if moved {
		l.moved(f, a.from, record.Sequence)
	}
	if said&restored != 0 {
		l.options.Keep.Woke(p)
	}
	return o, p, nil
}

// note writes down that an authentic record has come, before anything is done
// about it. It returns what the marks were, and whether the peer's address has to
// follow. The caller holds the row's lock.
func (l *Listener) note(f ref, r *row, o dtls.Opened, a arrival) (said uint8, moved bool) {
	if o.Newest && r.is(kept) {
		l.keeper.received(f, r)
	}
	said = r.marks
	r.marks &^= restored
	if o.Type == dtls.ApplicationData {
		r.marks &^= inFlight
	}
	r.seen, r.shard = a.now, a.shard.number
	if at := l.table.stamp(f.slot); at != nil && isRequest(o) {
		*at = a.stamp
	}
	return said, o.Newest && r.addr != a.from
}

// isRequest reports whether a record carries a request of CoAP (RFC 7252 §3).
func isRequest(o dtls.Opened) bool {
	const codeAt, lastRequest = 1, 31
	return o.Type == dtls.ApplicationData && len(o.Plaintext) > codeAt &&
		o.Plaintext[codeAt] > 0 && o.Plaintext[codeAt] <= lastRequest
}

// moved follows an association to another address, unless a newer record has
// come meanwhile.
func (l *Listener) moved(f ref, to address, sequence uint64) {
	if moved, isKept := l.table.move(f, to, sequence); moved {
		l.stats.rebound.Add(1)
		if isKept {
			l.keeper.moved(f, to)
		}
	}
}

func (l *Listener) handle(p *peer, o dtls.Opened) {
	switch o.Type {
	case dtls.ApplicationData:
		l.options.Engine.Receive(p, o.Plaintext)
	case dtls.Alert:
		if len(o.Plaintext) == 2 && (o.Plaintext[0] == alertFatal || o.Plaintext[1] == alertCloseNotify) {
			l.end(p.ref, o.Plaintext[1] == alertCloseNotify) // RFC 5246 §7.2.1: answered in kind
		}
	case dtls.Handshake:
		if dtls.IsHello(dtls.Record{Type: o.Type, Fragment: o.Plaintext}) { // RFC 5746 §4.4
			_ = l.sendTo(p.ref, dtls.Alert, []byte{alertWarning, alertNoRenegotiation}) // it may be lost as well
			return
		}
		l.repeatFlight(p.ref) // a repeated Finished: our last flight was lost
	default:
		l.stats.drop(DropMalformed)
	}
}

// finishedAgain answers a Finished that was repeated under its old sequence
// number, as long as we have the flight it asks for.
func (l *Listener) finishedAgain(f ref, record dtls.Record) bool {
	r := l.table.row(f.slot)
	r.mu.Lock()
	again := r.alive(f.generation) && r.is(inFlight) && r.session.RepeatedFinished(record)
	r.mu.Unlock()
	if again {
		l.repeatFlight(f)
	}
	return again
}

// repeatFlight sends the last flight once more, byte for byte, so that no
// sequence number is used twice for different records.
func (l *Listener) repeatFlight(f ref) {
	again := l.flights.again(f)
	if again == nil {
		return
	}
	if _, addr, ok := l.about(f); ok {
		_ = l.shards[0].send(again, addr, 0) // counted there; the peer will ask again
	}
}

// end ends an association, once, with close_notify if notify is set. It reports
// whether this call ended it.
func (l *Listener) end(f ref, notify bool) bool {
	r := l.table.row(f.slot)
	r.mu.Lock()
	if !r.alive(f.generation) {
		r.mu.Unlock()
		return false
	}
	var goodbye []byte
	if notify { // without one when the sequence numbers are exhausted
		goodbye, _ = l.seal(f, r, nil, dtls.Alert, []byte{alertWarning, alertCloseNotify})
	}
	if r.is(kept) {
		l.keeper.ended(f)
	}
	addr, s, p := r.addr, l.shards[r.shard], l.wipe(f, r)
	r.mu.Unlock()
	if len(goodbye) > 0 {
		_ = s.send(goodbye, addr, 0) // counted there; it may be lost as well
	}
	l.vacate(f, p)
	return true
}

// wipe ends a live association: its keys are no more, and its peer is told. The
// caller holds the row's lock, and calls vacate when it no longer does.
func (l *Listener) wipe(f ref, r *row) *peer {
	at := l.table.peer(f.slot)
	p := *at
	if p != nil {
		p.home.Store(&home{listener: l, ended: true, identity: l.table.names.get(r.name), addr: r.addr})
	}
	*at = nil
	r.session = dtls.Session{}
	r.state = ended
	return p
}

// vacate gives the slot of an ended association to others.
func (l *Listener) vacate(f ref, p *peer) {
	l.flights.drop(f)
	l.bindings.drop(f)
	l.table.remove(f)
	if p != nil { // else nobody knows of it
		l.options.Engine.Closed(p)
	}
}
