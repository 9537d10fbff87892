// Package lwm2m is the vocabulary shared by every other package: endpoint
// names, paths, values, versions and the schema of objects. It performs no I/O
// and starts no goroutine.
//
// Section numbers refer to OMA LwM2M Core 1.2.2 unless stated otherwise.
package lwm2m

import (
	"errors"
	"fmt"
	"time"
)

// Endpoint is an Endpoint Client Name (§7.4.1): globally unique, opaque to us.
type Endpoint string

// MaxEndpoint is the length in bytes of the longest name that we accept: the
// range that the specification gives for strings of its kind.
const MaxEndpoint = 255

// ErrEndpoint reports a name that is empty, too long or not printable.
var ErrEndpoint = errors.New("unusable endpoint name")

// ParseEndpoint checks a name that a device sent. Control characters are
// refused, for names are shown to people and written to logs.
func ParseEndpoint(text string) (Endpoint, error) {
	if text == "" || len(text) > MaxEndpoint {
		return "", fmt.Errorf("%w: %d bytes", ErrEndpoint, len(text))
	}
	for _, r := range text {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return "", fmt.Errorf("%w: %q", ErrEndpoint, text)
		}
	}
	return Endpoint(text), nil
}

// An Entry is one leaf value and where it belongs.
type Entry struct {
	Path  Path
	Value Value
	Time  time.Time // when it was measured; zero if the message does not say
}

// A Version is that of the LwM2M enabler, which a client names in "lwm2m=".
type Version string

// The versions that Steward speaks.
const (
	Version10 Version = "1.0"
	Version11 Version = "1.1"
	Version12 Version = "1.2"
)

// ErrVersion reports an enabler version that Steward does not speak; on the
// wire it is 4.12 (§6.2.1).
var ErrVersion = errors.New("unsupported LwM2M version")

// ParseVersion reads the "lwm2m" parameter; an absent one means 1.0.
func ParseVersion(text string) (Version, error) {
	switch v := Version(text); v {
	case "":
		return Version10, nil
	case Version10, Version11, Version12:
		return v, nil
	}
	return "", fmt.Errorf("%w: %q", ErrVersion, text)
}
