package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

const (
	// flightLife is how long our last flight is kept for a peer that lost it;
	// the peer's own retransmissions have ended by then.
	flightLife = time.Minute
	// maxRepeats bounds how often it is sent again.
	maxRepeats = 8
	// maxForged is how many records may fail to authenticate before an association
	// ends, so that nobody can guess for ever: about the limit of AES-CCM in RFC 9147
	// §4.5.3, 2^23.5. Each guess at a tag of 8 bytes succeeds once in 2^64. Its peer
	// makes a new handshake; a restart of the program begins the count anew.
	maxForged = 1 << 23

	alertWarning     = 1
	alertFatal       = 2
	alertCloseNotify = 0
)

// An association is one DTLS peer of a listener; it implements coap.Peer.
type association struct {
	listener *Listener
	identity coap.Identity
	cid      cid
	hasCID   bool
	born     int64        // Unix nanoseconds
	seen     atomic.Int64 // Unix nanoseconds of the last authentic record
	restored atomic.Bool  // of an earlier run of the program, and has not spoken in this
	unjudged atomic.Bool  // of an earlier run, and its peer has not been judged in this

	mu         sync.Mutex
	session    dtls.Session
	addr       netip.AddrPort
	lastFlight *flight // until the peer's first message shows that it has it
	forged     uint32  // records that were not authentic
	ended      bool
	keeping
}

// A flight is the last of a handshake, kept for a peer that has lost it.
type flight struct {
	datagram []byte
	repeats  int
}

var _ coap.Peer = (*association)(nil)

// buffers are scratch space for one record or datagram each.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, MaxDatagram+recordOverhead)
	return &b
}}

func newAssociation(l *Listener, e *dtls.Established, addr netip.AddrPort, now time.Time) *association {
	a := &association{
		listener: l, identity: e.Identity, born: now.UnixNano(),
		session: e.Session, addr: addr, lastFlight: &flight{datagram: e.LastFlight},
	}
	a.cid, a.hasCID = e.Session.CID()
	a.seen.Store(now.UnixNano())
	return a
}

// Send implements coap.Peer. It returns ErrTooLong, ErrClosed or dtls.ErrExhausted.
func (a *association) Send(datagram []byte) error {
	if len(datagram) > MaxDatagram {
		return ErrTooLong
	}
	if !a.judge() {
		return ErrClosed
	}
	buffer, _ := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	a.mu.Lock()
	if a.ended {
		a.mu.Unlock()
		return ErrClosed
	}
	out, err := a.seal((*buffer)[:0], dtls.ApplicationData, datagram)
	addr := a.addr
	a.mu.Unlock()
	if err != nil {
		return err
	}
	return a.listener.send(out, addr)
}

// Identity implements coap.Peer.
func (a *association) Identity() coap.Identity { return a.identity }

// Addr implements coap.Peer.
func (a *association) Addr() netip.AddrPort {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.addr
}

// String implements coap.Peer.
func (a *association) String() string {
	return fmt.Sprintf("coaps://%s(%s)", a.Addr(), a.identity.Name)
}

// receive handles the protected records of a datagram and reports whether one
// was authentic.
func (a *association) receive(datagram []byte, from netip.AddrPort) bool {
	buffer, _ := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	authentic := false
	for rest := datagram; len(rest) > 0; {
		r, next, err := dtls.ParseRecord(rest)
		if err != nil {
			a.listener.stats.drop(DropMalformed)
			break
		}
		rest = next
		if r.Epoch == 0 {
			if r.Type == dtls.Alert { // anybody could have written it
				a.listener.stats.drop(DropPlaintext)
			}
			continue // a repeated flight has its Finished behind such records
		}
		o, err := a.open((*buffer)[:0], r, from)
		if err != nil {
			if !errors.Is(err, dtls.ErrReplay) || !a.finishedAgain(r) {
				a.listener.stats.drop(dropReason(err))
			}
			continue
		}
		authentic = true
		a.handle(o)
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
func (a *association) open(dst []byte, r dtls.Record, from netip.AddrPort) (dtls.Opened, error) {
	a.mu.Lock()
	if a.ended {
		a.mu.Unlock()
		return dtls.Opened{}, dtls.ErrCID
	}
	o, err := a.session.Open(dst, r)
	if err != nil {
		if errors.Is(err, dtls.ErrForged) {
			a.forged++
		}
		worn := a.forged >= maxForged
		a.mu.Unlock()
		if worn {
			a.end(true)
		}
		return o, err
	}
	if o.Type == dtls.ApplicationData {
		a.lastFlight = nil
	}
	old := a.addr
	if o.Newest {
		a.addr = from
		a.cell.Store(cellExpected, a.session.Expected()) // before anything is done about the record
	}
	moved, id := a.addr != old, a.id
	a.mu.Unlock()
	if !a.judge() {
		return dtls.Opened{}, dtls.ErrCID
	}
	a.seen.Store(time.Now().UnixNano())
	if moved {
		a.listener.table.move(a, old, from)
		a.listener.keeper.moved(id, from)
		a.listener.stats.rebound.Add(1)
	}
	if a.restored.Load() && a.restored.CompareAndSwap(true, false) {
		a.listener.options.Keep.Woke(a)
	}
	return o, nil
}

func (a *association) handle(o dtls.Opened) {
	switch o.Type {
	case dtls.ApplicationData:
		a.listener.options.Engine.Receive(a, o.Plaintext)
	case dtls.Alert:
		if len(o.Plaintext) == 2 && (o.Plaintext[0] == alertFatal || o.Plaintext[1] == alertCloseNotify) {
			a.end(o.Plaintext[1] == alertCloseNotify) // RFC 5246 §7.2.1: answered in kind
		}
	case dtls.Handshake: // a repeated Finished: our last flight was lost
		a.repeatFlight()
	default:
		a.listener.stats.drop(DropMalformed)
	}
}

// finishedAgain answers a Finished that was repeated under its old sequence
// number, as long as we have the flight it asks for.
func (a *association) finishedAgain(r dtls.Record) bool {
	a.mu.Lock()
	again := a.lastFlight != nil && a.session.RepeatedFinished(r)
	a.mu.Unlock()
	if again {
		a.repeatFlight()
	}
	return again
}

// repeatFlight sends the last flight once more, byte for byte, so that no
// sequence number is used twice for different records.
func (a *association) repeatFlight() {
	a.mu.Lock()
	var again []byte
	if f := a.lastFlight; f != nil && f.repeats < maxRepeats {
		f.repeats++
		again = f.datagram
	}
	addr := a.addr
	a.mu.Unlock()
	if again != nil {
		_ = a.listener.send(again, addr) // counted there; the peer will ask again
	}
}

// end ends the association, once, with close_notify if notify is set. It
// reports whether this call ended it.
func (a *association) end(notify bool) bool {
	a.mu.Lock()
	if a.ended {
		a.mu.Unlock()
		return false
	}
	a.ended = true
	var goodbye []byte
	if notify {
		goodbye = a.goodbye()
	}
	a.session = dtls.Session{} // the keys
	a.lastFlight = nil
	addr, kept := a.addr, a.keeping
	a.keeping = keeping{}
	a.mu.Unlock()
	if len(goodbye) > 0 {
		_ = a.listener.send(goodbye, addr) // counted there; it may be lost as well
	}
	a.listener.table.remove(a, addr)
	a.listener.keeper.ended(a, kept)
	a.listener.options.Engine.Closed(a)
	return true
}

// goodbye makes a close_notify, nil when the sequence numbers are exhausted. The
// caller holds mu.
func (a *association) goodbye() []byte {
	out, err := a.seal(nil, dtls.Alert, []byte{alertWarning, alertCloseNotify})
	if err != nil {
		return nil
	}
	return out
}

// sweep forgets a stale flight and reports whether the association is idle.
func (a *association) sweep(now time.Time, idle time.Duration) bool {
	if now.UnixNano()-a.born > int64(flightLife) {
		a.mu.Lock()
		a.lastFlight = nil
		a.mu.Unlock()
	}
	return now.UnixNano()-a.seen.Load() > int64(idle)
}
