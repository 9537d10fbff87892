package transport

import (
	"net/netip"
	"unique"

	"steward/lwm2m/coap"
)

// plainPeer is a peer without security: its address is all there is of it, and
// nothing is kept for it, except that those in use share one piece of memory.
type plainPeer struct{ unique.Handle[plainAddr] }

type plainAddr struct {
	listener *Listener
	addr     address
}

var _ coap.Peer = plainPeer{}

func plainPeerAt(l *Listener, a address) plainPeer { return plainPeer{unique.Make(plainAddr{l, a})} }

// Send implements coap.Peer.
func (p plainPeer) Send(datagram []byte) error {
	if len(datagram) > MaxDatagram {
		return ErrTooLong
	}
	a := p.Value()
	return a.listener.shards[0].send(datagram, a.addr, 0)
}

// Identity implements coap.Peer: nothing was proved.
func (p plainPeer) Identity() coap.Identity { return coap.Identity{} }

// Addr implements coap.Peer.
func (p plainPeer) Addr() netip.AddrPort { return p.Value().addr.addrPort() }

// String implements coap.Peer.
func (p plainPeer) String() string { return "coap://" + p.Addr().String() }
