package transport

import (
	"net/netip"

	"steward/lwm2m/dtls"
)

// send writes one datagram of a handshake.
func (l *Listener) send(datagram []byte, to netip.AddrPort) error {
	return l.shards[0].send(datagram, addressOf(to), 0)
}

// receive finds out whose a datagram is by its first record: the connection
// identifier where there is one, else the address.
func (l *Listener) receive(a arrival) {
	if l.options.Credentials == nil {
		if len(a.datagram) > MaxDatagram {
			l.stats.drop(DropTooLong)
			return
		}
		l.options.Engine.Receive(plainPeerAt(l, a.from), a.datagram)
		return
	}
	r, _, err := dtls.ParseRecord(a.datagram)
	switch {
	case err != nil:
		l.stats.drop(DropMalformed)
	case r.Type == dtls.TLS12CID:
		l.receiveCID(a, cid(r.CID))
	case r.Epoch != 0:
		l.receiveProtected(a)
	case dtls.IsHello(r):
		l.pending.hello(a)
	default:
		l.receivePlain(a)
	}
}

// receiveCID handles a datagram that names its association. One that is not
// known may be the Finished of a handshake under way.
func (l *Listener) receiveCID(a arrival, id cid) {
	if f, ok := l.table.withCID(id); ok {
		l.receiveFor(f, a)
		return
	}
	if l.pending.deliver(a.datagram, a.from.addrPort()) {
		return
	}
	if f, ok := l.table.withCID(id); ok { // the handshake completed in between
		l.receiveFor(f, a)
		return
	}
	l.stats.drop(DropUnknownCID)
}

// receiveProtected handles protected records without an identifier. While a new
// handshake runs beside an association, only the keys can tell whose they are.
func (l *Listener) receiveProtected(a arrival) {
	f, identifier, ok := l.table.at(a.from)
	if ok && !identifier && l.receiveFor(f, a) {
		return
	}
	if l.pending.deliver(a.datagram, a.from.addrPort()) {
		return
	}
	if !ok {
		l.stats.drop(DropUnknownAddress)
	}
}

// receivePlain handles handshake records in the clear other than ClientHello,
// and unprotected alerts: they concern a handshake under way, or repeat the
// flight of one that has just completed.
func (l *Listener) receivePlain(a arrival) {
	if l.pending.deliver(a.datagram, a.from.addrPort()) {
		return
	}
	if f, _, ok := l.table.at(a.from); ok {
		l.receiveFor(f, a)
		return
	}
	l.stats.drop(DropUnknownAddress)
}
