package handshake

import (
	"encoding/binary"
	"sync"

	"steward/lwm2m/dtls"
)

const (
	// mtu is the longest datagram of a flight: what every IPv6 path carries (RFC 8200 §5)
	// less its headers. A flight that was repeated in vain is cut into smallMTU (RFC 6347
	// §4.1.1.1).
	mtu      = 1280 - 40 - 8
	smallMTU = 548
	// patience is how many repetitions go out before the datagrams get smaller.
	patience = 2
	// minFragment is the shortest piece of a message that is worth a record.
	minFragment = 32
)

func appendRecordHeader(dst []byte, typ byte, sequence uint64, length int) []byte {
	dst = append(dst, typ, version12>>8, version12&0xff)
	dst = binary.BigEndian.AppendUint64(dst, sequence)
	return binary.BigEndian.AppendUint16(dst, uint16(length)) //nolint:gosec // G115: a datagram's
}

// flights is memory for datagrams of flights.
var flights = sync.Pool{New: func() any { b := make([]byte, 0, mtu); return &b }}

// A packer gathers records in datagrams.
type packer struct {
	mtu    int
	limit  uint16        // longest plaintext the peer takes in a record; 0: any
	record *uint64       // number of our next record in epoch 0
	keys   *dtls.Session // for what comes after ChangeCipherSpec
	to     poster
	buffer []byte
}

// A poster sends a datagram, which it does not retain.
type poster interface{ post(datagram []byte) }

// packer makes a packer for a flight of m.
func (m *machine) packer(mtu int) packer {
	p := packer{mtu: mtu, limit: m.offers.limit, record: &m.record, to: m}
	if m.proof != nil {
		p.keys = &m.session
	}
	return p
}

// post implements poster.
func (m *machine) post(datagram []byte) { m.server.o.Host.Send(datagram, m.addr) }

// add appends the records of a message, in as many pieces as it takes.
func (p *packer) add(msg message) {
	most := p.mtu - recordHeader - messageHeader
	if l := int(p.limit); l > 0 {
		most = min(most, l-messageHeader)
	}
	for offset := 0; ; {
		left := len(msg.body) - offset
		room := p.mtu - len(p.buffer) - recordHeader - messageHeader
		if room < min(left, minFragment) {
			p.flush()
			continue
		}
		n := min(left, room, most)
		p.buffer = appendRecordHeader(p.buffer, recordHandshake, *p.record, messageHeader+n)
		*p.record++
		header := fragmentHeader(msg, offset, n)
		p.buffer = append(append(p.buffer, header[:]...), msg.body[offset:offset+n]...)
		if offset += n; offset == len(msg.body) {
			return
		}
	}
}

// addFinished appends ChangeCipherSpec and, under the new keys, the Finished.
func (p *packer) addFinished(finished message) error {
	const room = 128 // for both, with the longest connection identifier
	if len(p.buffer)+room > p.mtu {
		p.flush()
	}
	p.buffer = append(appendRecordHeader(p.buffer, recordCCS, *p.record, 1), 1)
	*p.record++
	header := finished.header()
	sealed, err := p.keys.Seal(p.buffer, dtls.Handshake, append(header[:], finished.body...))
	p.buffer = sealed
	return err
}

func (p *packer) flush() {
	if len(p.buffer) > 0 {
		p.to.post(p.buffer)
		p.buffer = p.buffer[:0]
	}
}

// transmit sends the flight that the client is to answer, for the first time or
// again: records take new numbers, messages keep theirs (RFC 6347 §4.2.4).
func (m *machine) transmit(repeated int) error {
	p := m.packer(mtu)
	if repeated > patience {
		p.mtu = smallMTU
	}
	buffer, _ := flights.Get().(*[]byte)
	defer flights.Put(buffer)
	p.buffer = (*buffer)[:0]
	for _, msg := range m.log[1 : 1+m.flight] {
		if msg.typ != typeFinished {
			p.add(msg)
			continue
		}
		if err := p.addFinished(msg); err != nil {
			return err
		}
	}
	p.flush()
	return nil
}

// sendAlert tells the client why its handshake ends: under the keys in a resumption,
// whose client was told first to expect them.
func (m *machine) sendAlert(a alert) {
	body := []byte{levelFatal, byte(a)}
	if m.phase != phaseFinished || m.resumed == nil {
		record := append(appendRecordHeader(nil, recordAlert, m.record, len(body)), body...)
		m.record++
		m.post(record)
		return
	}
	if record, err := m.session.Seal(nil, dtls.Alert, body); err == nil {
		m.post(record)
	}
}
