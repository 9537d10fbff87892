// Package lwcbor reads and writes LwM2M CBOR, Content-Format 11544 (§7.5.4):
// nested maps whose keys are identifiers or arrays of them.
package lwcbor

import (
	"errors"
)

const (
	// maxNesting is the number of maps in each other: every key adds an identifier
	// at least, and a gateway prefix is one more element.
	maxNesting = 5
	// maxPrefix is the length in bytes of the longest prefix accepted.
	maxPrefix = 64
)

var (
	// ErrSyntax reports a body that is not CBOR, or not a map with such keys.
	ErrSyntax = errors.New("malformed LwM2M CBOR")
	// ErrPath reports keys that do not make a path to a value: too many
	// identifiers, too few, or one out of range.
	ErrPath = errors.New("LwM2M CBOR key is no path")
	// ErrLimit reports more than lwm2m.MaxEntries values.
	ErrLimit = errors.New("too many LwM2M CBOR values")
)
