package server

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
)

// ErrLocation reports text that is no Location.
var ErrLocation = errors.New("not a location of a registration")

// A Location names a registration: 128 random bits, unguessable.
type Location [16]byte

// locations writes a Location in 22 characters, each in one way only.
var locations = base64.RawURLEncoding.Strict()

// locationLength is that of a Location in text.
const locationLength = 22

// ParseLocation reads what String wrote, or returns ErrLocation.
func ParseLocation(text string) (l Location, err error) {
	if len(text) != locationLength {
		return l, ErrLocation
	}
	if _, err := locations.Decode(l[:], []byte(text)); err != nil {
		return Location{}, ErrLocation
	}
	return l, nil
}

// String returns the last segment of the registration's path.
func (l Location) String() string { return locations.EncodeToString(l[:]) }

func newLocation() (l Location) {
	_, _ = rand.Read(l[:]) // never fails (crypto/rand)
	return l
}
