// Package cbor reads and writes single data items of CBOR (RFC 8949) without
// copying: what the LwM2M formats need, whose maps have arrays for keys and
// whose senders use indefinite lengths, both beyond a struct decoder.
package cbor

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"
)

// Major is the major type of a data item (RFC 8949 §3.1).
type Major uint8

// The major types.
const (
	MajorUint Major = iota
	MajorNegative
	MajorBytes
	MajorText
	MajorArray
	MajorMap
	MajorTag
	MajorSimple
)

// Additional information with a meaning of its own (RFC 8949 §3).
const (
	infoHalf       = 25
	infoSingle     = 26
	infoDouble     = 27
	infoIndefinite = 31

	breakByte = 0xff

	simpleFalse = 20
	simpleTrue  = 21
	simpleNull  = 22
)

// MaxDepth is how deep Skip follows nested items: whoever sends more in an
// extension that we ignore is not well.
const MaxDepth = 16

var (
	// ErrSyntax reports bytes that are not well-formed CBOR, or an item of a type
	// that the format does not allow here.
	ErrSyntax = errors.New("malformed CBOR")
	// ErrTruncated reports input that ends within an item.
	ErrTruncated = errors.New("truncated CBOR")
	// ErrDepth reports items nested deeper than MaxDepth.
	ErrDepth = errors.New("CBOR nested too deep")
)

// A Head is the beginning of a data item.
type Head struct {
	Major      Major
	Arg        uint64 // number, length, tag, or the bits of a simple value or float
	Indefinite bool   // a string, array or map that ends with a break
	info       uint8
}

// IsNull reports whether the item is null.
func (h Head) IsNull() bool { return h.Major == MajorSimple && h.info == simpleNull }

// A Reader reads data items from a byte slice, which it never modifies.
type Reader struct {
	data []byte
	off  int
}

// NewReader returns a Reader of data.
func NewReader(data []byte) *Reader { return &Reader{data: data} }

// Offset returns the number of bytes read.
func (r *Reader) Offset() int { return r.off }

// Left returns the number of bytes not yet read.
func (r *Reader) Left() int { return len(r.data) - r.off }

// Peek returns the major type of the next item. It returns ErrTruncated at the
// end of input.
func (r *Reader) Peek() (Major, error) {
	if r.Left() == 0 {
		return 0, ErrTruncated
	}
	return Major(r.data[r.off] >> 5), nil
}

// Head reads the beginning of the next item. A break is ErrSyntax: Next
// consumes those that may occur.
func (r *Reader) Head() (Head, error) {
	if r.Left() == 0 {
		return Head{}, ErrTruncated
	}
	first := r.data[r.off]
	h := Head{Major: Major(first >> 5), info: first & 0x1f}
	r.off++
	switch {
	case h.info < 24:
		h.Arg = uint64(h.info)
		return h, nil
	case h.info <= infoDouble:
		b, err := r.Take(1 << (h.info - 24))
		if err != nil {
			return Head{}, err
		}
		h.Arg = bigEndian(b)
		if h.Major == MajorSimple && len(b) == 1 && h.Arg < 32 { // RFC 8949 §3.3
			return Head{}, ErrSyntax
		}
		return h, nil
	case h.info == infoIndefinite && h.Major >= MajorBytes && h.Major <= MajorMap:
		h.Indefinite = true
		return h, nil
	}
	return Head{}, ErrSyntax
}

// Take returns the next n bytes, which alias the input.
func (r *Reader) Take(n uint64) ([]byte, error) {
	if n > uint64(r.Left()) { //nolint:gosec // G115: never negative
		return nil, ErrTruncated
	}
	b := r.data[r.off : r.off+int(n)] //nolint:gosec // G115: not above Left
	r.off += int(n)                   //nolint:gosec // G115: not above Left
	return b, nil
}

// Next reports whether an array or map begun by h has another element; read
// counts those already read. It consumes the break of an indefinite one.
func (r *Reader) Next(h Head, read uint64) bool {
	if !h.Indefinite {
		return read < h.Arg
	}
	if r.Left() > 0 && r.data[r.off] == breakByte {
		r.off++
		return false
	}
	return true
}

// Count returns how many elements an array or map begun by h can have: its
// length, but never more than size bytes each would fit into the input.
func (r *Reader) Count(h Head, size int) int {
	fit := r.Left() / size
	if h.Indefinite || h.Arg > uint64(fit) { //nolint:gosec // G115: never negative
		return fit
	}
	return int(h.Arg) //nolint:gosec // G115: not above fit
}

// Content returns the bytes of a byte or text string begun by h. They alias the
// input unless the string comes in chunks. Text that is not UTF-8 is ErrSyntax.
func (r *Reader) Content(h Head) ([]byte, error) {
	if h.Major != MajorBytes && h.Major != MajorText {
		return nil, ErrSyntax
	}
	if !h.Indefinite {
		return r.chunk(h)
	}
	out := []byte{}
	for r.Next(h, 0) {
		c, err := r.Head()
		if err != nil {
			return nil, err
		}
		if c.Major != h.Major || c.Indefinite { // RFC 8949 §3.2.3
			return nil, ErrSyntax
		}
		b, err := r.chunk(c)
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

func (r *Reader) chunk(h Head) ([]byte, error) {
	b, err := r.Take(h.Arg)
	if err != nil {
		return nil, err
	}
	if h.Major == MajorText && !utf8.Valid(b) {
		return nil, ErrSyntax
	}
	return b, nil
}

// Skip passes over the next item. It returns ErrDepth beyond MaxDepth levels.
func (r *Reader) Skip() error { return r.skip(MaxDepth) }

func (r *Reader) skip(depth int) error {
	if depth == 0 {
		return ErrDepth
	}
	h, err := r.Head()
	if err != nil {
		return err
	}
	each := 1
	switch h.Major {
	case MajorBytes, MajorText:
		_, err = r.Content(h)
		return err
	case MajorTag:
		return r.skip(depth - 1)
	case MajorMap:
		each = 2
	case MajorArray:
	default:
		return nil
	}
	for n := uint64(0); r.Next(h, n); n++ {
		for range each {
			if err := r.skip(depth - 1); err != nil {
				return err
			}
		}
	}
	return nil
}

func bigEndian(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	default:
		return binary.BigEndian.Uint64(b)
	}
}

// halfToFloat64 widens an IEEE 754 binary16 (RFC 8949 Appendix D).
func halfToFloat64(bits uint16) float64 {
	exponent, mantissa := int(bits>>10)&0x1f, float64(bits&0x3ff)
	var f float64
	switch exponent {
	case 0:
		f = math.Ldexp(mantissa, -24)
	case 31:
		f = math.Inf(1)
		if mantissa != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(mantissa+1024, exponent-25)
	}
	if bits&0x8000 != 0 {
		f = -f
	}
	return f
}
