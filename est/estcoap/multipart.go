package estcoap

import (
	"errors"
	"fmt"
	"slices"
)

// ErrMultipart reports a body that is no application/multipart-core as EST has it.
var ErrMultipart = errors.New("not a multipart-core message")

// maxParts bounds the parts of a message: EST has two of a key and at most three of
// certificates.
const maxParts = 8

// A Part is one representation in a multipart-core message (RFC 8710).
type Part struct {
	Format uint16 // Content-Format
	Body   []byte // nil: the part is absent (null)
}

// EncodeMultipart returns the parts as application/multipart-core: one CBOR array of
// Content-Formats and byte strings in turn.
func EncodeMultipart(parts ...Part) []byte {
	out := head(nil, majorArray, 2*len(parts)) //nolint:mnd // format and body
	for _, p := range parts {
		out = head(out, majorUint, int(p.Format))
		if p.Body == nil {
			out = append(out, cborNull)
			continue
		}
		out = append(head(out, majorBytes, len(p.Body)), p.Body...)
	}
	return out
}

// DecodeMultipart reads an application/multipart-core message. Bodies alias b. It
// returns ErrMultipart for anything else: another type, lengths that are indefinite
// or not in their shortest form, too many parts, trailing bytes.
func DecodeMultipart(b []byte) ([]Part, error) {
	if len(b) > maxPKCS7 {
		return nil, fmt.Errorf("%w: %d bytes", ErrMultipart, len(b))
	}
	r := reader{b}
	n, err := r.head(majorArray)
	if err != nil {
		return nil, err
	}
	if n%2 != 0 || n > 2*maxParts {
		return nil, fmt.Errorf("%w: array of %d", ErrMultipart, n)
	}
	out := make([]Part, 0, n/2) //nolint:mnd // format and body
	for range cap(out) {
		p, err := r.part()
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	if len(r.b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", ErrMultipart, len(r.b))
	}
	return out, nil
}

// The parts of CBOR that multipart-core is made of (RFC 8949 §3).
const (
	majorUint  = 0
	majorBytes = 2
	majorArray = 4
	cborNull   = 0xf6

	directly  = 24 // arguments below it stand in the first byte
	oneByte   = 24
	twoBytes  = 25
	fourBytes = 26
)

// head appends the first bytes of an item with argument n.
func head(out []byte, major, n int) []byte {
	m := byte(major << 5) //nolint:gosec // G115: below 8
	switch {
	case n < directly:
		return append(out, m|byte(n)) //nolint:gosec // G115: below 24
	case n < 1<<8:
		return append(out, m|oneByte, byte(n))
	case n < 1<<16:
		return append(out, m|twoBytes, byte(n>>8), byte(n)) //nolint:gosec // G115: as intended
	default:
		return append(out, m|fourBytes, byte(n>>24), byte(n>>16), byte(n>>8), byte(n)) //nolint:gosec // G115: likewise
	}
}

// A reader takes items from the front of b.
type reader struct{ b []byte }

// head takes the first bytes of an item of a major type and returns its argument.
func (r *reader) head(major int) (int, error) {
	if len(r.b) == 0 {
		return 0, fmt.Errorf("%w: truncated", ErrMultipart)
	}
	first, length := r.b[0], 0
	n := int(first & 0x1f)
	switch n {
	case oneByte, twoBytes, fourBytes:
		length = 1 << (n - oneByte)
	}
	if int(first>>5) != major || n > fourBytes || len(r.b) < 1+length {
		return 0, fmt.Errorf("%w: item 0x%02x", ErrMultipart, first)
	}
	if length > 0 {
		n = 0
		for _, c := range r.b[1 : 1+length] {
			n = n<<8 | int(c)
		}
	}
	if shortest := head(nil, major, n); !slices.Equal(shortest, r.b[:1+length]) {
		return 0, fmt.Errorf("%w: %d is not in its shortest form", ErrMultipart, n)
	}
	r.b = r.b[1+length:]
	return n, nil
}

// part takes a Content-Format and what follows it.
func (r *reader) part() (Part, error) {
	format, err := r.head(majorUint)
	if err != nil {
		return Part{}, err
	}
	if format >= 1<<16 {
		return Part{}, fmt.Errorf("%w: Content-Format %d", ErrMultipart, format)
	}
	p := Part{Format: uint16(format)} //nolint:gosec // G115: it was checked
	if len(r.b) > 0 && r.b[0] == cborNull {
		r.b = r.b[1:]
		return p, nil
	}
	n, err := r.head(majorBytes)
	if err != nil {
		return Part{}, err
	}
	if n > len(r.b) {
		return Part{}, fmt.Errorf("%w: %d bytes of %d", ErrMultipart, len(r.b), n)
	}
	p.Body, r.b = r.b[:n:n], r.b[n:]
	return p, nil
}
