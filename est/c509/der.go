package c509

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Tags that are not in package asn1, as they stand in DER.
const (
	context0  = asn1.Tag(0x80) // primitive
	explicit0 = asn1.Tag(0xa0) // constructed
)

// tlv encodes one element of the parts' concatenation.
func tlv(tag asn1.Tag, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	out := []byte{byte(tag)}
	if n := len(body); n < 0x80 {
		out = append(out, byte(n))
	} else {
		size := bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, uint64(n)), "\x00")
		out = append(append(out, 0x80|byte(len(size))), size...) //nolint:gosec // at most 8
	}
	return append(out, body...)
}

// integer encodes an unsigned big-endian number of any length as INTEGER.
func integer(magnitude []byte) []byte {
	magnitude = bytes.TrimLeft(magnitude, "\x00")
	if len(magnitude) == 0 || magnitude[0] >= 0x80 {
		magnitude = append([]byte{0}, magnitude...)
	}
	return tlv(asn1.INTEGER, magnitude)
}

// magnitude returns the content of a non-negative INTEGER without leading zero,
// and whether it is one.
func magnitude(content []byte) ([]byte, bool) {
	if len(content) == 0 || content[0] >= 0x80 {
		return nil, false
	}
	return bytes.TrimLeft(content, "\x00"), true
}

// readInteger reads a non-negative INTEGER.
func readInteger(s *cryptobyte.String) ([]byte, bool) {
	var content cryptobyte.String
	if !s.ReadASN1(&content, asn1.INTEGER) {
		return nil, false
	}
	return magnitude(content)
}

// small returns a number below 2^32, which is all that path lengths need.
func small(magnitude []byte) (uint64, bool) {
	if len(magnitude) > 4 {
		return 0, false
	}
	var n uint64
	for _, b := range magnitude {
		n = n<<8 | uint64(b)
	}
	return n, true
}

// smallInteger is the opposite of small.
func smallInteger(tag asn1.Tag, it item) ([]byte, error) {
	if !it.is(majorUint) || it.n >= 1<<32 {
		return nil, fmt.Errorf("%w: number", ErrForm)
	}
	out := integer(binary.BigEndian.AppendUint64(nil, it.n))
	out[0] = byte(tag)
	return out, nil
}

// only reads one element that fills der, and returns its content.
func only(der []byte, tag asn1.Tag) (cryptobyte.String, bool) {
	s := cryptobyte.String(der)
	var out cryptobyte.String
	return out, s.ReadASN1(&out, tag) && s.Empty()
}

// each calls f with the elements of s, whole, until one is not accepted.
func each(s cryptobyte.String, f func(tag asn1.Tag, element, content cryptobyte.String) bool) bool {
	for !s.Empty() {
		var element, content cryptobyte.String
		var tag asn1.Tag
		if !s.ReadAnyASN1Element(&element, &tag) {
			return false
		}
		whole := element
		if !whole.ReadASN1(&content, tag) || !f(tag, element, content) {
			return false
		}
	}
	return true
}

// bitString reads a BIT STRING's content without unused bits.
func bitString(content []byte) ([]byte, bool) {
	if len(content) == 0 || content[0] != 0 {
		return nil, false
	}
	return content[1:], true
}

// flags reads a named bit list as a number whose bit i is bit i (§3.3).
func flags(content []byte) (uint64, bool) {
	if len(content) < 1 || len(content) > 9 {
		return 0, false
	}
	var n uint64
	for i, b := range content[1:] {
		n |= uint64(bits.Reverse8(b)) << (8 * i)
	}
	return n, true
}

// flagString is the opposite of flags (X.690 §11.2.2: no trailing zero bits).
func flagString(tag asn1.Tag, it item) ([]byte, error) {
	if !it.is(majorUint) {
		return nil, fmt.Errorf("%w: bits", ErrForm)
	}
	if it.n == 0 { // against RFC 5280, but it has a form
		return tlv(tag, []byte{0}), nil
	}
	body := bytes.TrimRight(binary.LittleEndian.AppendUint64(nil, it.n), "\x00")
	for i, b := range body {
		body[i] = bits.Reverse8(b)
	}
	unused := byte(bits.TrailingZeros8(body[len(body)-1])) //nolint:gosec // at most 8
	return tlv(tag, []byte{unused}, body), nil
}

// validOID says whether b can be the content of an OBJECT IDENTIFIER.
func validOID(b []byte) bool {
	start := true
	for _, c := range b {
		if start && c == 0x80 {
			return false
		}
		start = c < 0x80
	}
	return len(b) > 0 && start
}
