package app

import (
	"crypto/rand"
	"strconv"

	"github.com/oklog/ulid/v2"

	"steward/lwm2m/fleet"
)

// newULID returns an identifier that sorts by the time it was made.
func newULID() string {
	return ulid.MustNew(ulid.Now(), rand.Reader).String()
}

func newID() fleet.ID { return fleet.ID(newULID()) }

func formatText(id uint16) string {
	return strconv.FormatUint(uint64(id), 10)
}
