package transport

import (
	"net/netip"

	"steward/lwm2m/coap"
)

// plainPeer is a peer without security: its address is all there is of it, and
// nothing is kept for it.
type plainPeer struct {
	listener *Listener
	addr     netip.AddrPort
}

var _ coap.Peer = plainPeer{}

// Send implements coap.Peer.
func (p plainPeer) Send(datagram []byte) error {
	if len(datagram) > MaxDatagram {
		return ErrTooLong
	}
	return p.listener.send(datagram, p.addr)
}

// Identity implements coap.Peer: nothing was proved.
func (p plainPeer) Identity() coap.Identity { return coap.Identity{} }

// Addr implements coap.Peer.
func (p plainPeer) Addr() netip.AddrPort { return p.addr }

// String implements coap.Peer.
func (p plainPeer) String() string { return "coap://" + p.addr.String() }
