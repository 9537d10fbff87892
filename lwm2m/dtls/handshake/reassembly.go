package handshake

import (
	"bytes"
	"slices"
)

const (
	// maxAhead is how many messages may arrive before their turn: a client's last flight
	// has at most four, a server's first at most five.
	maxAhead = 4
	// maxCertificate bounds a Certificate message, and what a server asks for one;
	// maxSmall every other message but a hello.
	maxCertificate = 8192
	maxSmall       = 512
	maxHello       = 2048
	// maxGap is how far beyond what has arrived of a message without a gap a piece may
	// begin, so that one byte at the end of a long message takes no memory for all of it.
	maxGap = 1024
	// minShared is the length from which on a message that came whole is not copied. A
	// shorter one would keep a datagram that may hold much else.
	minShared = 256
)

// maxLength is how long a message of a type may be; 0 for one that clients do not
// send.
func maxLength(typ uint8) int {
	switch typ {
	case typeClientHello:
		return maxHello
	case typeCertificate:
		return maxCertificate
	case typeClientKeyExchange, typeCertificateVerify, typeFinished:
		return maxSmall
	default:
		return 0
	}
}

// A partial is a message of which something has arrived.
type partial struct {
	typ    uint8
	epoch  uint16
	length int
	body   []byte   // up to the last byte that is there
	have   []uint64 // bit i: byte i is there
	left   int      // bytes missing
	prefix int      // bytes that are there before the first gap
}

// A reassembly puts messages together, in whatever order and pieces they come
// (RFC 6347 §4.2.3). Memory for one is taken as its pieces arrive.
type reassembly struct {
	next  uint16 // message_seq of the message whose turn it is
	ahead [maxAhead]*partial
}

// add takes in a fragment that came in a record of epoch, unless it is of no use: too
// early or too long, or not what was said of the message before. The fragment's memory
// must be the handshake's.
func (r *reassembly) add(f fragment, epoch uint16, most func(typ uint8) int) {
	place := f.seq - r.next // wraps for a message whose turn has been
	if place >= maxAhead || f.length > most(f.typ) {
		return
	}
	if place > 1 && f.length > maxSmall { // a certificate comes first, a server's second
		return
	}
	p := r.ahead[place]
	if p == nil || p.epoch < epoch { // what the peer's keys protect goes before what anybody can send
		if f.offset > maxGap {
			return
		}
		p = &partial{typ: f.typ, epoch: epoch, length: f.length, left: f.length}
		r.ahead[place] = p
	}
	if p.typ != f.typ || p.epoch != epoch || p.length != f.length || f.offset > p.prefix+maxGap {
		return
	}
	p.fill(f)
}

func (p *partial) fill(f fragment) {
	switch {
	case p.left == 0:
		return
	case len(f.body) == p.length:
		p.body, p.have, p.left = f.body, nil, 0
		if p.length < minShared {
			p.body = bytes.Clone(f.body)
		}
		return
	}
	const bits = 64
	if n := f.offset + len(f.body) - len(p.body); n > 0 {
		p.body = append(p.body, make([]byte, n)...)
		words := (len(p.body) + bits - 1) / bits
		p.have = append(p.have, make([]uint64, words-len(p.have))...)
	}
	for i, b := range f.body {
		at := f.offset + i
		if bit := uint64(1) << (at % bits); p.have[at/bits]&bit == 0 {
			p.have[at/bits] |= bit
			p.body[at] = b
			p.left--
		}
	}
	for p.prefix < len(p.body) && p.have[p.prefix/bits]>>(p.prefix%bits)&1 == 1 {
		p.prefix++
	}
}

// take returns the message whose turn it is, once it is whole, and the epoch in
// which it came.
func (r *reassembly) take() (m message, epoch uint16, ok bool) {
	p := r.ahead[0]
	if p == nil || p.left > 0 {
		return message{}, 0, false
	}
	m = message{p.typ, r.next, slices.Clip(p.body)}
	copy(r.ahead[:], r.ahead[1:])
	r.ahead[maxAhead-1] = nil
	r.next++
	return m, p.epoch, true
}
