package suit

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// The major types of CBOR (RFC 8949 §3.1).
const (
	majorUint = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple
)

const (
	cborFalse = 0xf4
	cborTrue  = 0xf5
	cborNull  = 0xf6
)

// A reader walks over one CBOR item. The generic decoders do not see
// non-minimal integers or unsorted maps, and cannot take arrays as map keys,
// which SUIT has; hence this small one. Items are checked by check before they
// are read, so that the accessors meet sound input only.
type reader struct {
	b   []byte
	off int
}

// check verifies that raw is exactly one deterministic item (RFC 8949 §4.2.1).
func check(raw []byte) error {
	r := &reader{b: raw}
	if err := r.skip(0); err != nil {
		return err
	}
	return r.end()
}

// left returns the number of bytes not read yet.
func (r *reader) left() uint64 {
	return uint64(len(r.b) - r.off) //nolint:gosec // never negative
}

// end refuses trailing bytes.
func (r *reader) end() error {
	if n := len(r.b) - r.off; n != 0 {
		return fmt.Errorf("%w: %d bytes after the item", ErrEncoding, n)
	}
	return nil
}

// head reads the initial bytes of an item: the major type and its argument.
func (r *reader) head() (major byte, arg uint64, err error) {
	at := r.off
	if at >= len(r.b) {
		return 0, 0, fmt.Errorf("%w: truncated at %d", ErrEncoding, at)
	}
	major, info := r.b[at]>>5, r.b[at]&0x1f
	r.off++
	switch {
	case info < 24:
		return major, uint64(info), nil
	case info == 31:
		return 0, 0, fmt.Errorf("%w: indefinite length at %d", ErrEncoding, at)
	case info > 27:
		return 0, 0, fmt.Errorf("%w: reserved additional information at %d", ErrEncoding, at)
	}
	n := 1 << (info - 24)
	if len(r.b)-r.off < n {
		return 0, 0, fmt.Errorf("%w: truncated at %d", ErrEncoding, at)
	}
	for _, c := range r.b[r.off : r.off+n] {
		arg = arg<<8 | uint64(c)
	}
	r.off += n
	if major != majorSimple && !minimal(arg, n) {
		return 0, 0, fmt.Errorf("%w: argument at %d not in its shortest form", ErrEncoding, at)
	}
	return major, arg, nil
}

// minimal reports whether arg needs n bytes.
func minimal(arg uint64, n int) bool {
	if n == 1 {
		return arg >= 24
	}
	return arg>>(4*n) != 0 // n/2 bytes do not hold it
}

// skip checks one item and moves behind it.
func (r *reader) skip(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: nested deeper than %d", ErrEncoding, maxDepth)
	}
	at := r.off
	major, arg, err := r.head()
	if err != nil {
		return err
	}
	switch major {
	case majorBytes, majorText:
		content, err := r.take(arg, at)
		if err == nil && major == majorText && !utf8.Valid(content) {
			return fmt.Errorf("%w: text at %d is not UTF-8", ErrEncoding, at)
		}
		return err
	case majorArray:
		return r.skipArray(arg, at, depth)
	case majorMap:
		return r.skipMap(arg, at, depth)
	case majorTag:
		return r.skip(depth + 1)
	case majorSimple:
		return r.simple(at)
	}
	return nil
}

// take returns the next n bytes.
func (r *reader) take(n uint64, at int) ([]byte, error) {
	if n > r.left() {
		return nil, fmt.Errorf("%w: string of %d bytes at %d, %d left", ErrEncoding, n, at, r.left())
	}
	from := r.off
	r.off += int(n) //nolint:gosec // not more than what is left
	return r.b[from:r.off], nil
}

func (r *reader) skipArray(n uint64, at, depth int) error {
	if n > maxMembers*2 || n > r.left() {
		return fmt.Errorf("%w: array of %d items at %d", ErrEncoding, n, at)
	}
	for range n {
		if err := r.skip(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

// skipMap also demands ascending keys, which excludes duplicates.
func (r *reader) skipMap(n uint64, at, depth int) error {
	if n > maxMembers || n > r.left()/2 {
		return fmt.Errorf("%w: map of %d pairs at %d", ErrEncoding, n, at)
	}
	var last []byte
	for range n {
		from := r.off
		if err := r.skip(depth + 1); err != nil {
			return err
		}
		key := r.b[from:r.off]
		if order := bytes.Compare(last, key); last != nil && order >= 0 {
			if order == 0 {
				return fmt.Errorf("%w: duplicate key %x at %d", ErrEncoding, key, from)
			}
			return fmt.Errorf("%w: key %x at %d out of order", ErrEncoding, key, from)
		}
		last = key
		if err := r.skip(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

// simple checks a simple value or a float, whose argument has been read. The
// manifest has no floats but in custom arguments, where any width is let pass.
func (r *reader) simple(at int) error {
	if r.b[at] == majorSimple<<5|24 && r.b[at+1] < 32 {
		return fmt.Errorf("%w: simple value at %d not in its shortest form", ErrEncoding, at)
	}
	return nil
}

// raw moves behind one item and returns its bytes.
func (r *reader) raw() ([]byte, error) {
	from := r.off
	if err := r.skip(0); err != nil {
		return nil, err
	}
	return r.b[from:r.off], nil
}

// count reads the head of an array or a map and returns its number of items or
// pairs, or ErrStructure if the next item is none.
func (r *reader) count(want byte) (int, error) {
	major, n, err := r.head()
	if err != nil {
		return 0, err
	}
	if major != want || n > r.left() {
		return 0, fmt.Errorf("%w: neither expected array nor map", ErrStructure)
	}
	return int(n), nil //nolint:gosec // not more than what is left
}
