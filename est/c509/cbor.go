package c509

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// Major types (RFC 8949 §3.1).
const (
	majorUint = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap // in no structure of the draft that we read
	majorTag
	majorSimple
)

// Simple values.
const (
	simpleFalse     = 20
	simpleTrue      = 21
	simpleNull      = 22
	simpleUndefined = 23
)

// An item is one data item, and what is in it.
type item struct {
	major byte
	n     uint64 // number (a negative one is -1-n), tag, or simple value
	bytes []byte // of a byte or text string
	items []item // of an array, or the one that is tagged
	raw   []byte // the encoding
}

// parse reads exactly one item.
func parse(b []byte) (item, error) {
	items, err := parseSequence(b)
	if err != nil {
		return item{}, err
	}
	if len(items) != 1 {
		return item{}, fmt.Errorf("%w: %d items", ErrCBOR, len(items))
	}
	return items[0], nil
}

// parseSequence reads a CBOR sequence (RFC 8742).
func parseSequence(b []byte) ([]item, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrSize, len(b))
	}
	r := reader{rest: b, left: MaxItems}
	var out []item
	for len(r.rest) > 0 {
		it, err := r.item(0)
		if err != nil {
			return nil, fmt.Errorf("%w at byte %d", err, len(b)-len(r.rest))
		}
		out = append(out, it)
	}
	return out, nil
}

type reader struct {
	rest []byte
	left int // items that may still come
}

func (r *reader) item(depth int) (item, error) {
	if r.left--; r.left < 0 {
		return item{}, fmt.Errorf("%w: more than %d items", ErrSize, MaxItems)
	}
	if depth > MaxDepth {
		return item{}, fmt.Errorf("%w: nested too deep", ErrCBOR)
	}
	start := r.rest
	major, n, err := r.head()
	if err != nil {
		return item{}, err
	}
	it := item{major: major, n: n}
	switch major {
	case majorBytes, majorText:
		it.bytes, err = r.text(major, n)
	case majorArray:
		it.items, err = r.array(n, depth)
	case majorTag:
		it.items, err = r.array(1, depth)
	case majorMap:
		err = fmt.Errorf("%w: map", ErrCBOR)
	case majorSimple:
		if n < simpleFalse || n > simpleUndefined {
			err = fmt.Errorf("%w: simple value or float", ErrCBOR)
		}
	}
	if err != nil {
		return item{}, err
	}
	it.raw = start[:len(start)-len(r.rest)]
	return it, nil
}

// head reads initial byte and argument, which must be in the shortest form.
func (r *reader) head() (major byte, n uint64, err error) {
	if len(r.rest) == 0 {
		return 0, 0, fmt.Errorf("%w: truncated", ErrCBOR)
	}
	major, info := r.rest[0]>>5, r.rest[0]&0x1f
	r.rest = r.rest[1:]
	if info < 24 {
		return major, uint64(info), nil
	}
	if info > 27 || major == majorSimple {
		return 0, 0, fmt.Errorf("%w: indefinite length, float or reserved", ErrCBOR)
	}
	size := 1 << (info - 24)
	if len(r.rest) < size {
		return 0, 0, fmt.Errorf("%w: truncated", ErrCBOR)
	}
	var wide [8]byte
	copy(wide[8-size:], r.rest[:size])
	r.rest = r.rest[size:]
	n = binary.BigEndian.Uint64(wide[:])
	if size == 1 && n < 24 || size > 1 && n < 1<<(4*size) {
		return 0, 0, fmt.Errorf("%w: not the shortest form", ErrCBOR)
	}
	return major, n, nil
}

func (r *reader) text(major byte, n uint64) ([]byte, error) {
	if n > uint64(len(r.rest)) {
		return nil, fmt.Errorf("%w: truncated", ErrCBOR)
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	if major == majorText && !utf8.Valid(out) {
		return nil, fmt.Errorf("%w: text is not UTF-8", ErrCBOR)
	}
	return out, nil
}

func (r *reader) array(n uint64, depth int) ([]item, error) {
	if n > uint64(len(r.rest)) { // each has at least one byte
		return nil, fmt.Errorf("%w: truncated", ErrCBOR)
	}
	var out []item // grows with what is read, not with what is claimed
	for range n {
		it, err := r.item(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, it)
	}
	return out, nil
}

// int returns a number that fits in 64 bits.
func (it item) int() (int64, bool) {
	if it.major > majorNegative || it.n > math.MaxInt64 {
		return 0, false
	}
	if it.major == majorNegative {
		return -1 - int64(it.n), true
	}
	return int64(it.n), true
}

func (it item) is(major byte) bool { return it.major == major }
func (it item) null() bool         { return it.major == majorSimple && it.n == simpleNull }
func (it item) undefined() bool    { return it.major == majorSimple && it.n == simpleUndefined }

func appendHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func encodeInt(n int64) []byte {
	if n < 0 {
		return appendHead(nil, majorNegative, uint64(-1-n))
	}
	return appendHead(nil, majorUint, uint64(n))
}

func appendBytes(b, v []byte) []byte { return append(appendHead(b, majorBytes, uint64(len(v))), v...) }

func appendText(b, v []byte) []byte { return append(appendHead(b, majorText, uint64(len(v))), v...) }
func encodeNull() []byte            { return appendHead(nil, majorSimple, simpleNull) }

// array encodes an array of items that are encoded already.
func array(items ...[]byte) []byte {
	out := appendHead(nil, majorArray, uint64(len(items)))
	for _, it := range items {
		out = append(out, it...)
	}
	return out
}
