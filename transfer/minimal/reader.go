package minimal

import (
	"bytes"
	"unicode/utf8"
)

// The major types of CBOR (RFC 8949 §3.1).
const (
	majorUint  = 0
	majorNint  = 1
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
	majorTag   = 6
)

// A reader goes through deterministic CBOR. What it does not expect makes it bad, and
// from then on it reads nothing.
type reader struct {
	b   []byte
	bad bool
}

// next returns the major type of the next item; -1 at the end.
func (r *reader) next() int {
	if r.bad || len(r.b) == 0 {
		return -1
	}
	return int(r.b[0] >> 5)
}

// head reads the head of an item of a major type: its value in the shortest form.
func (r *reader) head(major int) (v uint64) {
	if r.next() != major {
		r.bad = true
		return 0
	}
	const direct = 24
	low := r.b[0] & 0x1f
	r.b = r.b[1:]
	if low < direct {
		return uint64(low)
	}
	n := 1 << (low - direct)
	if low > direct+3 || len(r.b) < n {
		r.bad = true
		return 0
	}
	for _, b := range r.b[:n] {
		v = v<<8 | uint64(b)
	}
	r.b = r.b[n:]
	if v < direct || n > 1 && v>>(4*n) == 0 { // a shorter form would do
		r.bad = true
	}
	return v
}

// uint reads an unsigned integer of at most limit.
func (r *reader) uint(limit uint64) uint64 {
	v := r.head(majorUint)
	r.bad = r.bad || v > limit
	return v
}

// string reads a byte or text string of min to max bytes.
func (r *reader) string(major, atLeast, atMost int) []byte {
	n := r.head(major)
	if r.bad || n > uint64(len(r.b)) || n < uint64(atLeast) || n > uint64(atMost) { //nolint:gosec // constants
		r.bad = true
		return nil
	}
	s := r.b[:n]
	r.b = r.b[n:]
	r.bad = r.bad || major == majorText && !utf8.Valid(s)
	return s
}

func (r *reader) text() []byte { return r.string(majorText, 1, maxText) }

func (r *reader) id() { r.string(majorBytes, 1, maxID) }

// hash reads a SHA-256.
func (r *reader) hash() []byte { return r.string(majorBytes, hashLength, hashLength) }

// named reads a SHA-256 that must not be zero.
func (r *reader) named() []byte {
	h := r.hash()
	zero := true
	for _, b := range h {
		zero = zero && b == 0
	}
	r.bad = r.bad || zero
	return h
}

// bool reads true or false.
func (r *reader) bool() bool {
	const no, yes = 0xf4, 0xf5
	if r.bad || len(r.b) == 0 || r.b[0] != no && r.b[0] != yes {
		r.bad = true
		return false
	}
	v := r.b[0] == yes
	r.b = r.b[1:]
	return v
}

// array reads the head of an array of n members.
func (r *reader) array(n uint64) { r.bad = r.head(majorArray) != n || r.bad }

// label reads an expected label of a map.
func (r *reader) label(n uint64) { r.bad = r.head(majorUint) != n || r.bad }

// optional reads a label if it is the next one.
func (r *reader) optional(n uint64) bool {
	if r.next() != majorUint {
		return false
	}
	ahead := *r
	if ahead.head(majorUint) != n || ahead.bad {
		return false
	}
	*r = ahead
	return true
}

// private reads the label -65537.
func (r *reader) private() { r.bad = r.head(majorNint) != 65536 || r.bad }

// anchor reads a pair of label 8.
func (r *reader) anchor() (name []byte, purposes uint64) {
	r.array(2)
	name = r.string(majorBytes, x5tLength, x5tLength)
	return name, r.uint(known &^ purposeFallback)
}

// done reports whether all was as expected and nothing is left.
func (r *reader) done() bool { return !r.bad && len(r.b) == 0 }

// A sign1 is a COSE_Sign1, in place.
type sign1 struct {
	protected, payload, signature []byte
	kid                           []byte
	p256                          bool // ES256 or ESP256
}

// The protected header {1: alg, 4: kid}, up to and after the algorithm.
const (
	headerMap  = 0xa2
	headerAlg  = 0x01
	headerKid  = 0x04
	es256      = 0x26 // -7
	eddsa      = 0x27 // -8
	esp256     = 0x28 // -9
	ed25519    = 0x32 // -19
	longAlg    = 0x38
	es384      = 0x22 // -35, after longAlg
	esp384     = 0x32 // -51, likewise
	kidString  = 0x48
	emptyMap   = 0xa0
	headerSize = 4 + kidLength + 1 // with a short algorithm
)

// parseSign1 reads a COSE_Sign1 without a tag.
func parseSign1(raw []byte, s *sign1) bool {
	r := reader{b: raw}
	r.array(4)
	s.protected = r.string(majorBytes, headerSize, headerSize+1)
	if r.bad || len(r.b) == 0 || r.b[0] != emptyMap {
		return false
	}
	r.b = r.b[1:]
	s.payload = r.string(majorBytes, 0, len(raw))
	s.signature = r.string(majorBytes, 1, len(raw))
	return r.done() && s.header()
}

// header reads the protected header.
func (s *sign1) header() bool {
	h := s.protected
	if h[0] != headerMap || h[1] != headerAlg {
		return false
	}
	h = h[2:]
	switch h[0] {
	case es256, esp256:
		s.p256 = true
		h = h[1:]
	case eddsa, ed25519:
		h = h[1:]
	case longAlg:
		if h[1] != es384 && h[1] != esp384 {
			return false
		}
		h = h[2:]
	default:
		return false
	}
	if len(h) != 2+kidLength || h[0] != headerKid || h[1] != kidString {
		return false
	}
	s.kid = h[2:]
	return true
}

// untag removes the tag of COSE_Sign1, which a mandate may have.
func untag(raw []byte) []byte {
	const tagSign1 = 0xc0 | 18
	return bytes.TrimPrefix(raw, []byte{tagSign1})
}
