package coap

import "strconv"

// A Format is the value of a Content-Format or Accept option (RFC 7252
// §5.10.3). The zero Format is an absent option, not text/plain.
type Format struct {
	id  uint16
	set bool
}

// FormatID returns the format with a number of the CoAP Content-Formats
// registry; 0 is text/plain.
func FormatID(id uint16) Format { return Format{id: id, set: true} }

// ID returns the registry's number, and whether the option is present.
func (f Format) ID() (id uint16, ok bool) { return f.id, f.set }

// String returns the number in decimal, "" for an absent option.
func (f Format) String() string {
	if !f.set {
		return ""
	}
	return strconv.Itoa(int(f.id))
}

// A MaxAge is the value of a Max-Age option (RFC 7252 §5.10.5). The zero
// MaxAge is an absent option, which stands for 60 seconds.
type MaxAge struct {
	seconds uint32
	set     bool
}

// MaxAgeSeconds returns a present Max-Age of n seconds; 0 forbids caching.
func MaxAgeSeconds(n uint32) MaxAge { return MaxAge{seconds: n, set: true} }

// Seconds returns the age in seconds, and whether the option is present.
func (m MaxAge) Seconds() (n uint32, ok bool) { return m.seconds, m.set }
