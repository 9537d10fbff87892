package transport_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"steward/lwm2m/coap"
	"steward/lwm2m/transport"
)

// TestRowHasNoPointers keeps the slab free for the collector, and a row small.
func TestRowHasNoPointers(t *testing.T) {
	size, pointers := transport.RowSize()
	if size > 160 || len(pointers) > 0 {
		t.Errorf("a row takes %d bytes and has pointers in %q", size, pointers)
	}
}

// TestSlotRollOver: the identifiers that one slot gives out, one association
// after the other, are all different, and each reaches its own alone.
func TestSlotRollOver(t *testing.T) {
	s := transport.NewSlab(1)
	seen := map[[8]byte]bool{}
	var last [8]byte
	for i := range 1 << 16 {
		id := s.Reserve(t)
		if seen[id] {
			t.Fatalf("identifier %x, the %d., was given out before", id, i)
		}
		seen[id] = true
		if s.Slot(id) != 0 {
			t.Fatalf("identifier %x is of slot %d", id, s.Slot(id))
		}
		s.Occupy(t, id, coap.Identity{Role: coap.RolePSK, Name: "sensor"}, uint16(i))
		if !s.Knows(id) || i > 0 && s.Knows(last) {
			t.Fatalf("round %d: the new identifier is known: %t, the last: %t", i, s.Knows(id), s.Knows(last))
		}
		last = id
		s.Remove(id)
		if s.Knows(id) {
			t.Fatalf("round %d: the identifier is known after the end", i)
		}
	}
}

// TestSlabChurn lets associations come and go at random, and compares the slab
// with a map.
func TestSlabChurn(t *testing.T) {
	s := transport.NewSlab(3000)
	random := rand.New(rand.NewPCG(1, 2))
	type device struct {
		id   [8]byte
		name string
	}
	byPort := map[uint16]device{}
	for i := range 60_000 {
		port := uint16(random.IntN(4000))
		if d, there := byPort[port]; there {
			s.Remove(d.id)
			delete(byPort, port)
			continue
		}
		if len(byPort) == 3000 {
			continue
		}
		d := device{s.Reserve(t), fmt.Sprintf("urn:dev:ops:%0*d", 1+i%40, i)}
		s.Occupy(t, d.id, coap.Identity{Role: coap.RoleOperational, Name: d.name, Certificate: [32]byte{byte(i), 1}}, port)
		byPort[port] = d
		if i%20_000 == 0 {
			s.Repack()
		}
	}
	if s.Size() != len(byPort) {
		t.Errorf("%d associations, want %d", s.Size(), len(byPort))
	}
	for port := range uint16(4000) {
		d, there := byPort[port]
		id, found := s.At(port)
		if found != there || there && id.Name != d.name {
			t.Errorf("at port %d: %q, %t; want %q, %t", port, id.Name, found, d.name, there)
		}
	}
	if live, all := s.NameBytes(); all > 2*live+1<<21 {
		t.Errorf("names take %d bytes for %d", all, live)
	}
}

// TestClassesAreKept: an association has the class that the handshake gave it, and one
// of a class that nobody knows may do nothing: it never becomes one without security.
func TestClassesAreKept(t *testing.T) {
	s := transport.NewSlab(16)
	for i, tt := range []struct{ given, want coap.Role }{
		{coap.RoleNone, coap.RoleNone},
		{coap.RolePSK, coap.RolePSK},
		{coap.RoleBootstrap, coap.RoleBootstrap},
		{coap.RoleFactory, coap.RoleFactory},
		{coap.RoleOperational, coap.RoleOperational},
		{coap.RoleServer, coap.RoleServer},
		{coap.RoleRawKey, coap.RoleRawKey},
		{coap.RoleExpired, coap.RoleExpired},
		{"some-other", coap.RoleServer},
	} {
		port := uint16(i + 1)
		s.Occupy(t, s.Reserve(t), coap.Identity{Role: tt.given, Name: "sensor"}, port)
		if got, ok := s.At(port); !ok || got.Role != tt.want {
			t.Errorf("class %q was kept as %q, want %q", tt.given, got.Role, tt.want)
		}
	}
}
