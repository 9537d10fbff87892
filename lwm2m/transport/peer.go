package transport

import (
	"fmt"
	"net/netip"
	"sync/atomic"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// A peer is what the engine knows of an association. There is one for each, made
// when somebody asks for it and never given to another, so that its address in
// memory is as good as the association itself.
type peer struct {
	home atomic.Pointer[home]
	ref
}

// A home is what a peer belongs to: that of its listener, or what is left of it.
type home struct {
	listener *Listener
	ended    bool
	identity coap.Identity // of the ended
	addr     address
}

var _ coap.Peer = (*peer)(nil)

// Send implements coap.Peer. It returns ErrTooLong, ErrClosed or dtls.ErrExhausted.
func (p *peer) Send(datagram []byte) error {
	if len(datagram) > MaxDatagram {
		return ErrTooLong
	}
	h := p.home.Load()
	if h.ended {
		return ErrClosed
	}
	return h.listener.sendTo(p.ref, dtls.ApplicationData, datagram)
}

// about returns what is known of p now, or was when it ended.
func (p *peer) about() (coap.Identity, netip.AddrPort) {
	if h := p.home.Load(); !h.ended {
		if id, addr, ok := h.listener.about(p.ref); ok {
			return id, addr.addrPort()
		}
	}
	h := p.home.Load() // it has ended, and says so before its row does
	return h.identity, h.addr.addrPort()
}

// Identity implements coap.Peer.
func (p *peer) Identity() coap.Identity {
	id, _ := p.about()
	return id
}

// Addr implements coap.Peer.
func (p *peer) Addr() netip.AddrPort {
	_, addr := p.about()
	return addr
}

// String implements coap.Peer.
func (p *peer) String() string {
	id, addr := p.about()
	return fmt.Sprintf("coaps://%s(%s)", addr, id.Name)
}

// peerOf returns the peer of a live association. The caller holds its row's lock.
func (l *Listener) peerOf(f ref) *peer {
	at := l.table.peer(f.slot)
	if *at == nil {
		p := &peer{ref: f}
		p.home.Store(&l.home)
		*at = p
	}
	return *at
}

// about returns whose an association is and where, if it lives.
func (l *Listener) about(f ref) (coap.Identity, address, bool) {
	r := l.table.row(f.slot)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.alive(f.generation) {
		return coap.Identity{}, address{}, false
	}
	return l.table.names.get(r.name), r.addr, true
}

// livePeer returns the peer of an association, nil if that has ended.
func (l *Listener) livePeer(f ref) *peer {
	r := l.table.row(f.slot)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.alive(f.generation) {
		return nil
	}
	return l.peerOf(f)
}
