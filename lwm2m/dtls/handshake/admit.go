package handshake

import (
	"bytes"
	"net/netip"
	"sync"
	"time"

	"steward/lwm2m/dtls"
)

// An Outcome says what became of a datagram.
type Outcome uint8

// The outcomes.
const (
	Taken     Outcome = iota // it belongs to a handshake
	Verified                 // the client was asked to prove its address; nothing is remembered
	Malformed                // it is not a client's hello
	Busy                     // a later handshake of the address is under way
	Full                     // too many handshakes are under way
	Declined                 // Host.Admit said no
	Overrun                  // the handshake has too much to read already
	Unknown                  // no handshake of the address is under way
)

// maxFirst and maxFirstMessage are the highest numbers of a hello's record and
// message, which ours continue: they must not run over into the epoch, nor begin anew.
const (
	maxFirst        = 1<<48 - 1<<16
	maxFirstMessage = 1<<16 - 1<<8
)

// scratch is memory for HelloVerifyRequests.
var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 128); return &b }}

// Hello takes a datagram that begins with a ClientHello. It begins a handshake only
// for a client whose cookie shows that it is at from (RFC 6347 §4.2.1); before, it
// allocates nothing. The answer that asks for a cookie goes out by via.
func (s *Server) Hello(datagram []byte, from netip.AddrPort, via Sender, now time.Time) Outcome {
	r, _, err := dtls.ParseRecord(datagram)
	if err != nil || r.Type != dtls.Handshake || r.Epoch != 0 || r.Sequence > maxFirst {
		return Malformed
	}
	f, _, ok := parseFragment(r.Fragment)
	if !ok || f.seq > maxFirstMessage || f.typ != typeClientHello || f.offset != 0 || f.length > maxHello {
		return Malformed
	}
	h, _, ok := parseHelloHead(f.body)
	if !ok {
		return Malformed
	}
	var offer [digestLength]byte // stays zero while parts of the hello are missing
	if len(f.body) == f.length {
		whole, ok := parseClientHello(f.body)
		if !ok {
			return Malformed
		}
		offer = offerDigest(&whole)
	}
	digest, ok := s.cookies.check(from, &h, now)
	none := [digestLength]byte{}
	if !ok || digest != none && offer != none && digest != offer {
		c := s.cookies.make(from, &h, offer, now)
		verify(via, r.Sequence, f.seq, from, &c)
		return Verified
	}
	return s.proved(datagram, r.Sequence, f.seq, from, &h, digest, now)
}

// verify sends a HelloVerifyRequest.
func verify(via Sender, record uint64, seq uint16, to netip.AddrPort, c *cookie) {
	buffer, _ := scratch.Get().(*[]byte)
	*buffer = appendVerifyRequest((*buffer)[:0], record, seq, c)
	via.Send(*buffer, to)
	scratch.Put(buffer)
}

// proved takes the hello of a client that is where it says.
func (s *Server) proved(datagram []byte, record uint64, seq uint16, from netip.AddrPort, h *helloHead,
	digest [digestLength]byte, now time.Time,
) Outcome {
	s.mu.Lock()
	c := s.byAddr[from]
	if c != nil && c.random == h.random {
		defer s.mu.Unlock()
		return s.deliver(c, datagram)
	}
	if c != nil && c.former == h.random { // an old hello that was delayed
		s.mu.Unlock()
		return Busy
	}
	full := s.running >= s.o.Limit
	s.mu.Unlock()
	if full {
		return Full
	}
	place := s.o.Host.Admit(from, now)
	if place == nil {
		return Declined
	}
	outcome := s.begin(&conn{
		random: h.random, due: now.Add(s.o.FlightInterval), interval: s.o.FlightInterval, end: now.Add(s.o.Timeout),
		machine: machine{
			server: s, addr: from, place: place, record: record, offer: digest, in: reassembly{next: seq},
		},
	}, datagram)
	if outcome == Full {
		place.Ended(nil)
	}
	return outcome
}

// begin enters a handshake and gives it its first datagram.
func (s *Server) begin(c *conn, datagram []byte) Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running >= s.o.Limit { // others were first
		return Full
	}
	if old := s.byAddr[c.addr]; old != nil { // a device that restarted gets in at once
		old.superseded, c.former = true, old.random
		s.schedule(old)
	}
	if len(s.byAddr) == 0 {
		s.timer.Reset(s.o.FlightInterval / ticksPerFlight)
	}
	s.byAddr[c.addr] = c
	s.running++
	return s.deliver(c, datagram)
}

// Deliver takes a datagram that does not begin with a ClientHello, if a handshake is
// under way at its address.
func (s *Server) Deliver(datagram []byte, from netip.AddrPort) Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byAddr[from]
	if c == nil {
		return Unknown
	}
	return s.deliver(c, datagram)
}

// deliver puts a copy of a datagram into a handshake's inbox. The caller holds mu.
func (s *Server) deliver(c *conn, datagram []byte) Outcome {
	if len(c.inbox) == maxInbox || c.unread+len(datagram) > maxInboxBytes ||
		s.waiting+len(datagram) > maxWaiting || c.ended {
		return Overrun
	}
	s.waiting += len(datagram)
	c.unread += len(datagram)
	c.inbox = append(c.inbox, bytes.Clone(datagram))
	s.schedule(c)
	return Taken
}
