package author

import (
	"crypto/sha1" //nolint:gosec // RFC 9562 §5.5 defines UUIDv5 by it
	"encoding/hex"
	"fmt"
	"strings"
)

// A UUID identifies a vendor, a class of devices, or a device (§8.4.8.2). The
// zero value means none.
type UUID [16]byte

// namespaceDNS is the name space of domain names (RFC 9562 §6.6).
var namespaceDNS = UUID{
	0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8,
}

// VendorID returns the identifier of the vendor that owns a domain name.
func VendorID(domain string) UUID { return v5(namespaceDNS, domain) }

// ClassID returns the identifier of a class of the vendor's devices.
func ClassID(vendor UUID, info string) UUID { return v5(vendor, info) }

// v5 returns a name-based UUID (RFC 9562 §5.5).
func v5(space UUID, name string) UUID {
	h := sha1.New() //nolint:gosec // RFC 9562 §5.5
	h.Write(space[:])
	h.Write([]byte(name))
	var id UUID
	copy(id[:], h.Sum(nil))
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ParseUUID reads the form with hyphens, or 32 hexadecimal digits. It returns
// ErrOptions.
func ParseUUID(text string) (UUID, error) {
	var id UUID
	digits := text
	if len(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-' {
		digits = strings.ReplaceAll(text, "-", "")
	}
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != len(id) {
		return UUID{}, fmt.Errorf("%w: UUID %q", ErrOptions, text)
	}
	copy(id[:], raw)
	return id, nil
}

// IsZero reports whether id means none.
func (id UUID) IsZero() bool { return id == UUID{} }

// String returns the form with hyphens.
func (id UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
