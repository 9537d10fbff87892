package handshake

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"

	"golang.org/x/crypto/cryptobyte"
)

// sayHello makes the flight of a ClientHello, with the server's cookie if it has sent
// one. The hash of the handshake begins with the one that is answered (RFC 6347
// §4.2.1).
func (c *caller) sayHello(cookie []byte) {
	if cookie == nil {
		_, _ = rand.Read(c.random[:]) // never fails
	}
	c.cookie = cookie
	c.log, c.flight = nil, nil
	c.say(typeClientHello, c.hello())
}

// say appends a message to the flight and to the handshake.
func (c *caller) say(typ uint8, body []byte) {
	m := message{typ, c.seq, body}
	c.seq++
	c.flight, c.log = append(c.flight, m), append(c.log, m)
}

// hello encodes a ClientHello (RFC 6347 §4.2.1).
func (c *caller) hello() []byte {
	var b cryptobyte.Builder
	b.AddUint16(version12)
	b.AddBytes(c.random[:])
	b.AddUint8(0) // no session to be resumed
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(c.cookie) })
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, id := range c.suites() {
			b.AddUint16(id)
		}
		b.AddUint16(suiteRenegotiation)
	})
	b.AddBytes([]byte{1, 0}) // no compression
	b.AddUint16LengthPrefixed(c.addOffers)
	out, _ := b.Bytes() // never fails: every part is short
	return out
}

// suites are those that fit our credentials. Of those of a pre-shared key, what RFC
// 7925 §4.2 demands of everybody goes before what costs more.
func (c *caller) suites() (ids []uint16) {
	var costly []uint16
	for i := range suites {
		switch s := &suites[i]; {
		case s.psk != (len(c.o.PSK) > 0):
		case s.psk && s.ecdhe:
			costly = append(costly, s.id)
		default:
			ids = append(ids, s.id)
		}
	}
	return append(ids, costly...)
}

// addOffers encodes the extensions.
func (c *caller) addOffers(b *cryptobyte.Builder) {
	add := func(typ uint16, body ...byte) {
		b.AddUint16(typ)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(body) })
	}
	if name := c.o.ServerName; name != "" && !isAddress(name) {
		add(extServerName, serverName(name)...)
	}
	add(extMasterSecret)
	add(extSupportedGroups, list16Of(groupP256, groupX25519, groupP384)...)
	add(extPointFormats, 1, uncompressed)
	if c.cid != nil {
		add(extConnectionID, append([]byte{byte(len(c.cid))}, c.cid...)...) //nolint:gosec // G115: CIDLength
	}
	if len(c.o.PSK) > 0 {
		return
	}
	all := make([]uint16, len(schemes))
	for i, s := range schemes {
		all[i] = uint16(s)
	}
	add(extSignatureAlgorithms, list16Of(all...)...)
	if c.o.RawKey != nil {
		add(extClientCertType, 1, certRawPublicKey)
	}
	if types := c.serverTypes(); len(types) > 1 || types[0] != certX509 {
		add(extServerCertType, append([]byte{byte(len(types))}, types...)...) //nolint:gosec // G115: two
	}
}

// serverTypes are the types of a server's certificate that we can judge, what we like
// best first.
func (c *caller) serverTypes() (types []byte) {
	if c.o.VerifyKey != nil {
		types = append(types, certRawPublicKey)
	}
	if c.o.Verify != nil {
		types = append(types, certX509)
	}
	return types
}

// isAddress reports whether a name is none that server_name may carry (RFC 6066 §3).
func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// serverName encodes a list of one host name.
func serverName(name string) []byte {
	const hostName = 0
	b := binary.BigEndian.AppendUint16(nil, uint16(len(name)+3)) //nolint:gosec // G115: a name's length
	b = append(b, hostName)
	b = binary.BigEndian.AppendUint16(b, uint16(len(name))) //nolint:gosec // G115: a name's length
	return append(b, name...)
}

func list16Of(values ...uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(2*len(values))) //nolint:gosec // G115: a few
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

// transmit sends the flight, for the first time or again.
func (c *caller) transmit(repeated int) error {
	p := packer{mtu: mtu, record: &c.record, to: c, keys: &c.session}
	if repeated > patience {
		p.mtu = smallMTU
	}
	for _, m := range c.flight {
		if m.typ != typeFinished {
			p.add(m)
			continue
		}
		if err := p.addFinished(m); err != nil {
			return err
		}
	}
	p.flush()
	return nil
}

// post implements poster. What cannot be sent is lost like any other datagram; the
// socket says so when it is read.
func (c *caller) post(datagram []byte) { _ = c.wire.Send(datagram) }

// sendAlert tells the server why the handshake ends.
func (c *caller) sendAlert(a alert) {
	body := []byte{levelFatal, byte(a)}
	c.post(append(appendRecordHeader(nil, recordAlert, c.record, len(body)), body...))
	c.record++
}
