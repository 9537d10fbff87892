package transport

import (
	"slices"
	"strings"
	"sync"

	"steward/lwm2m/coap"
)

const (
	// nameChunk is how many bytes of names are allocated at once; a place in it
	// takes 16 bits.
	nameChunk = 1 << 16
	// deadNames is how many bytes of the dead may lie about before the living move
	// together, unless those are more.
	deadNames = 1 << 20
	// maxName is the longest name of an identity in bytes: a common name has at most
	// 64 characters (RFC 5280, ub-common-name), a PSK identity that everybody
	// supports 128 bytes (RFC 4279 §5.3).
	maxName = 255
)

// A name is a coap.Identity without pointers: its text lies in names.
type name struct {
	at        uint32 // chunk and place in it
	length    uint8
	certified bool  // a certificate's hash comes before the text
	role      uint8 // index in roles
}

// roles numbers the classes of associations.
var roles = [...]coap.Role{
	coap.RoleNone, coap.RolePSK, coap.RoleFactory, coap.RoleOperational, coap.RoleServer, coap.RoleBootstrap,
	coap.RoleRawKey, coap.RoleExpired,
}

// roleNumber is the index of a class; one that is missing there gets that of
// coap.RoleServer, which may ask for nothing.
func roleNumber(r coap.Role) uint8 {
	i := slices.Index(roles[:], r)
	if i < 0 {
		i = slices.Index(roles[:], coap.RoleServer)
	}
	return uint8(i) //nolint:gosec // G115: a handful
}

func (n name) size() int {
	if n.certified {
		return int(n.length) + len(coap.Identity{}.Certificate)
	}
	return int(n.length)
}

// names are what the identities of associations consist of. What was put in
// never changes, so that an identity is a part of a chunk and no copy; chunks
// whose last name has gone are left to the collector.
type names struct {
	mu         sync.RWMutex
	chunks     []*strings.Builder // nil: may be begun again
	living     []int              // names in each chunk
	open       int                // the chunk that is filled
	live, dead int                // bytes
}

// put keeps an identity, whose name has at most maxName bytes and whose role is
// one of roles.
func (s *names) put(id coap.Identity) name {
	n := name{length: uint8(len(id.Name)), certified: id.Certificate != [32]byte{}} //nolint:gosec // G115: at most maxName
	n.role = roleNumber(id.Role)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.chunks) == 0 || s.chunks[s.open].Len()+n.size() >= nameChunk {
		s.begin()
	}
	b := s.chunks[s.open]
	n.at = uint32(s.open)<<16 | uint32(b.Len()) //nolint:gosec // G115: there are fewer chunks than names
	if n.certified {
		_, _ = b.Write(id.Certificate[:]) // never fails
	}
	_, _ = b.WriteString(id.Name) // never fails
	s.living[s.open]++
	s.live += n.size()
	return n
}

// begin opens a chunk. The caller holds mu.
func (s *names) begin() {
	old := s.open
	for s.open = 0; s.open < len(s.chunks) && s.chunks[s.open] != nil; s.open++ {
	}
	if s.open == len(s.chunks) {
		s.chunks, s.living = append(s.chunks, nil), append(s.living, 0)
	}
	s.chunks[s.open] = &strings.Builder{}
	s.chunks[s.open].Grow(nameChunk)
	if old != s.open {
		s.close(old)
	}
}

// close lets a chunk go that nobody is in. The caller holds mu.
func (s *names) close(chunk int) {
	if s.living[chunk] == 0 && chunk != s.open && s.chunks[chunk] != nil {
		s.dead -= s.chunks[chunk].Len()
		s.chunks[chunk] = nil
	}
}

// get returns the identity that n stands for.
func (s *names) get(n name) (id coap.Identity) {
	s.mu.RLock()
	text := s.chunks[n.at>>16].String()[n.at&(nameChunk-1):][:n.size()]
	s.mu.RUnlock()
	id.Role = roles[n.role]
	if n.certified {
		text = text[copy(id.Certificate[:], text):]
	}
	id.Name = text
	return id
}

// drop forgets n.
func (s *names) drop(n name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	chunk := int(n.at >> 16)
	s.living[chunk]--
	s.live -= n.size()
	s.dead += n.size()
	s.close(chunk)
}

// sparse reports whether it is worth the while to put everything in anew.
func (s *names) sparse() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.dead > max(s.live, deadNames)
}
