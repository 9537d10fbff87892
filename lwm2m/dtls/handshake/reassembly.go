package handshake

const (
	// maxAhead is how many messages may arrive before their turn: a client's last flight
	// has at most four.
	maxAhead = 4
	// maxCertificate bounds a client's Certificate message, and maxSmall every other one.
	maxCertificate = 8192
	maxSmall       = 512
	maxHello       = 2048
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
	typ   uint8
	epoch uint16
	body  []byte
	have  []uint64 // bit i: byte i is there
	left  int      // bytes missing
}

// A reassembly puts messages together, in whatever order and pieces they come
// (RFC 6347 §4.2.3). Memory for one is taken when the first piece of it arrives.
type reassembly struct {
	next  uint16 // message_seq of the message whose turn it is
	ahead [maxAhead]*partial
}

// add takes in a fragment that came in a record of epoch. It reports false if it is
// of no use: too early or too long, or not what was said of the message before.
func (r *reassembly) add(f fragment, epoch uint16) bool {
	place := f.seq - r.next // wraps for a message whose turn has been
	if place >= maxAhead || f.length > maxLength(f.typ) {
		return false
	}
	if place > 0 && f.length > maxSmall { // a certificate comes first
		return false
	}
	p := r.ahead[place]
	if p == nil || p.epoch < epoch { // what the client's keys protect goes before what anybody can send
		p = &partial{typ: f.typ, epoch: epoch, left: f.length, body: make([]byte, f.length)}
		if len(f.body) < f.length {
			p.have = make([]uint64, (f.length+63)/64)
		}
		r.ahead[place] = p
	}
	if p.typ != f.typ || p.epoch != epoch || len(p.body) != f.length {
		return false
	}
	p.fill(f)
	return true
}

func (p *partial) fill(f fragment) {
	if p.left == 0 {
		return
	}
	if len(f.body) == len(p.body) {
		copy(p.body, f.body)
		p.left = 0
		return
	}
	for i, b := range f.body {
		at := f.offset + i
		if bit := uint64(1) << (at % 64); p.have[at/64]&bit == 0 {
			p.have[at/64] |= bit
			p.body[at] = b
			p.left--
		}
	}
}

// take returns the message whose turn it is, once it is whole, and the epoch in
// which it came.
func (r *reassembly) take() (m message, epoch uint16, ok bool) {
	p := r.ahead[0]
	if p == nil || p.left > 0 {
		return message{}, 0, false
	}
	m = message{p.typ, r.next, p.body}
	copy(r.ahead[:], r.ahead[1:])
	r.ahead[maxAhead-1] = nil
	r.next++
	return m, p.epoch, true
}
