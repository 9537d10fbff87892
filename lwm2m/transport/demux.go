package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"steward/lwm2m/dtls"
)

// read serves the socket until it is closed.
func (l *Listener) read(ctx context.Context) error {
	buffer := make([]byte, MaxDatagram+recordOverhead+1)
	for {
		n, from, err := l.socket.ReadFromUDPAddrPort(buffer)
		switch {
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return fmt.Errorf("transport: %w", err)
		}
		l.stats.received(n)
		if n == len(buffer) { // the kernel cut it off
			l.stats.drop(DropTooLong)
			continue
		}
		l.receive(ctx, buffer[:n], plain(from))
	}
}

// sendAddr is send to an address as rows have it.
func (l *Listener) sendAddr(datagram []byte, to address) error {
	return l.send(datagram, to.addrPort())
}

// send writes one datagram.
func (l *Listener) send(datagram []byte, to netip.AddrPort) error {
	if _, err := l.socket.WriteToUDPAddrPort(datagram, to); err != nil {
		l.stats.drop(DropSendFailed)
		return fmt.Errorf("transport: %w", err)
	}
	l.stats.sent(len(datagram))
	return nil
}

// receive finds out whose a datagram is by its first record: the connection
// identifier where there is one, else the address.
func (l *Listener) receive(ctx context.Context, datagram []byte, from netip.AddrPort) {
	if l.options.Credentials == nil {
		if len(datagram) > MaxDatagram {
			l.stats.drop(DropTooLong)
			return
		}
		l.options.Engine.Receive(plainPeer{l, from}, datagram) //nolint:contextcheck // what a message starts is the engine's
		return
	}
	r, _, err := dtls.ParseRecord(datagram)
	switch {
	case err != nil:
		l.stats.drop(DropMalformed)
	case r.Type == dtls.TLS12CID:
		l.receiveCID(datagram, cid(r.CID), from) //nolint:contextcheck // what a message starts is the engine's
	case r.Epoch != 0:
		l.receiveProtected(datagram, from) //nolint:contextcheck // what a message starts is the engine's
	case dtls.IsHello(r):
		l.pending.hello(datagram, from)
	default:
		l.receivePlain(datagram, from) //nolint:contextcheck // what a message starts is the engine's
	}
}

// receiveCID handles a datagram that names its association. One that is not
// known may be the Finished of a handshake under way.
func (l *Listener) receiveCID(datagram []byte, id cid, from netip.AddrPort) {
	a := arrival{datagram: datagram, from: addressOf(from), now: l.now()}
	if f, ok := l.table.withCID(id); ok {
		l.receiveFor(f, a)
		return
	}
	if l.pending.deliver(datagram, from) {
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
func (l *Listener) receiveProtected(datagram []byte, from netip.AddrPort) {
	a := arrival{datagram: datagram, from: addressOf(from), now: l.now()}
	f, identifier, ok := l.table.at(a.from)
	if ok && !identifier && l.receiveFor(f, a) {
		return
	}
	if l.pending.deliver(datagram, from) {
		return
	}
	if !ok {
		l.stats.drop(DropUnknownAddress)
	}
}

// receivePlain handles handshake records in the clear other than ClientHello,
// and unprotected alerts: they concern a handshake under way, or repeat the
// flight of one that has just completed.
func (l *Listener) receivePlain(datagram []byte, from netip.AddrPort) {
	if l.pending.deliver(datagram, from) {
		return
	}
	a := arrival{datagram: datagram, from: addressOf(from), now: l.now()}
	if f, _, ok := l.table.at(a.from); ok {
		l.receiveFor(f, a)
		return
	}
	l.stats.drop(DropUnknownAddress)
}
