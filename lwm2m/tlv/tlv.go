// Package tlv reads and writes the TLV format, Content-Format 11542 (§7.5.5).
package tlv

import (
	"errors"
)

// maxDepth is the number of levels that records nest: object instance,
// resource, resource instance.
const maxDepth = 3

// maxLength is that of the longest value: length fields have up to 24 bits.
const maxLength = 1<<24 - 1

// Types of records, bits 7 and 6 of the first byte (Table 7.5.5.-1).
const (
	typeObjectInstance   = 0
	typeResourceInstance = 1
	typeMultiple         = 2
	typeResource         = 3
)

var (
	// ErrTruncated reports a record that is longer than what contains it.
	ErrTruncated = errors.New("truncated TLV")
	// ErrNesting reports a record of a type that has no place where it stands.
	ErrNesting = errors.New("misplaced TLV")
	// ErrIdentifier reports a record with another identifier than the request's.
	ErrIdentifier = errors.New("TLV of another node")
	// ErrLimit reports more than lwm2m.MaxEntries values, or one that is too long.
	ErrLimit = errors.New("TLV too large")
)

// record is one parsed TLV; value aliases the input.
type record struct {
	kind  uint8
	id    uint16
	value []byte
}

// next parses the first record of b and returns what follows it.
func next(b []byte) (record, []byte, error) {
	kind := b[0]
	idSize, lengthSize := 1+int(kind>>5&1), int(kind>>3&3)
	head := 1 + idSize + lengthSize
	if len(b) < head {
		return record{}, nil, ErrTruncated
	}
	r := record{kind: kind >> 6, id: uint16(number(b[1 : 1+idSize]))} //nolint:gosec // G115: two bytes at most
	length := int(kind & 7)
	if lengthSize > 0 { // then bits 2-0 are without meaning
		length = number(b[1+idSize : head])
	}
	if len(b)-head < length {
		return record{}, nil, ErrTruncated
	}
	r.value = b[head : head+length]
	return r, b[head+length:], nil
}

// number reads an unsigned big-endian number of up to three bytes.
func number(b []byte) int {
	n := 0
	for _, c := range b {
		n = n<<8 | int(c)
	}
	return n
}
