package transport

import (
	"bytes"
	"crypto/tls"
	"sync"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// bindingLife is how long the binding of an association is kept that is not there
// to enrol: whoever wants one right after its handshake has it.
const bindingLife = 1200 * instant(1)

var (
	_ coap.Bound = (*peer)(nil)
	_ coap.Bound = (*streamPeer)(nil)
	_ coap.Bound = (*Conn)(nil)
)

// A binding is the channel binding of an association.
type binding struct {
	data       [dtls.BindingLength]byte
	generation uint32
	until      instant // 0: as long as the association
}

// bindings are those of associations that may need theirs, by their slots.
type bindings struct {
	mu sync.Mutex
	of map[uint32]binding
}

// keep keeps the binding of a handshake: for good where the peer comes to enrol, for
// a while where it may renew its certificate, else not at all.
func (s *bindings) keep(f ref, e *dtls.Established, now instant) {
	b := binding{data: e.Binding, generation: f.generation}
	switch e.Identity.Role {
	case coap.RoleFactory, coap.RoleBootstrap, coap.RoleExpired:
	case coap.RoleOperational:
		b.until = later(now, bindingLife)
	default:
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[uint32]binding{}
	}
	s.of[f.slot] = b
}

// get returns the binding of an association, nil if it is not kept.
func (s *bindings) get(f ref) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.of[f.slot]
	if !ok || b.generation != f.generation {
		return nil
	}
	return bytes.Clone(b.data[:])
}

func (s *bindings) drop(f ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.of[f.slot]; ok && b.generation == f.generation {
		delete(s.of, f.slot)
	}
	s.shrink()
}

// forget drops those whose time is over.
func (s *bindings) forget(now instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for slot, b := range s.of {
		if b.until != 0 && b.until < now {
			delete(s.of, slot)
		}
	}
	s.shrink()
}

// shrink lets an empty map go: it does not shrink by itself. The caller holds mu.
func (s *bindings) shrink() {
	if len(s.of) == 0 {
		s.of = nil
	}
}

// ChannelBinding implements coap.Bound: tls-unique, as long as it is kept.
func (p *peer) ChannelBinding() []byte {
	h := p.home.Load()
	if h.ended {
		return nil
	}
	return h.listener.bindings.get(p.ref)
}

// ChannelBinding implements coap.Bound.
func (p *streamPeer) ChannelBinding() []byte { return p.binding }

// ChannelBinding implements coap.Bound. Associations of pion's client have none.
func (c *Conn) ChannelBinding() []byte { return c.binding }

// tlsBinding returns the channel binding of a TLS connection: tls-unique, in TLS 1.3
// tls-exporter. Nil: there is none.
func tlsBinding(s tls.ConnectionState) []byte {
	if s.Version < tls.VersionTLS13 {
		return s.TLSUnique
	}
	const label, length = "EXPORTER-Channel-Binding", 32 // RFC 9266 §2
	b, err := s.ExportKeyingMaterial(label, nil, length)
	if err != nil {
		return nil
	}
	return b
}
