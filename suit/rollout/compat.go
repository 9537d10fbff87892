package rollout

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"steward/objects"
	"steward/suit"
)

// Facts are what a provider knows of a device before it sends anything. Zero fields
// are not known, and refuse nothing: the device itself has the last word.
type Facts struct {
	Vendor, Class, Device []byte // UUIDs
	// Sequence is the highest sequence number known to be installed, Installed where
	// that is known from.
	Sequence  uint64
	Installed string
	// Components are the names that the device gives to its components
	// (/33629/*/14).
	Components []string
	Free       uint64 // bytes; 0: not known
	Protocols  []objects.FirmwareProtocol
	Delivery   *objects.FirmwareDelivery
}

// Refusals returns in words why a device of which f is known cannot accept a
// manifest by a delivery; none if nothing speaks against it. uri is where the device
// would fetch the envelope.
func (q *Requirements) Refusals(f *Facts, d Delivery, uri string) []string {
	var reasons []string
	refuse := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	for _, id := range []struct {
		what string
		have []byte
		want [][]byte
	}{
		{"vendor", f.Vendor, q.Vendors},
		{"class", f.Class, q.Classes},
		{"device", f.Device, q.Devices},
	} {
		if id.have != nil && id.want != nil && !slices.ContainsFunc(id.want, func(b []byte) bool {
			return bytes.Equal(b, id.have)
		}) {
			refuse("made for %s %s, the device is %s", id.what, identifiers(id.want), uuidText(id.have))
		}
	}
	if q.Sequence < f.Sequence {
		refuse("sequence number %d is older than %d, which the device has (%s)", q.Sequence, f.Sequence, f.Installed)
	}
	for _, c := range q.Components {
		if f.Components != nil && !slices.Contains(f.Components, ComponentName(c)) {
			refuse("component %s is not on the device, which has %s", c, strings.Join(f.Components, ", "))
		}
	}
	if f.Free > 0 && q.Size > f.Free {
		refuse("%d bytes are needed, the device has %d free", q.Size, f.Free)
	}
	return append(reasons, q.transport(f, d, uri)...)
}

// ComponentName returns how devices name a component in object 33629.
func ComponentName(id suit.ComponentID) string { return id.String() }

// transport returns why the device cannot get the package by a delivery.
func (q *Requirements) transport(f *Facts, d Delivery, uri string) (reasons []string) {
	way := map[Delivery]objects.FirmwareDelivery{Push: objects.DeliveryPush, Pull: objects.DeliveryPull}[d]
	if f.Delivery != nil && *f.Delivery != objects.DeliveryBoth && *f.Delivery != way {
		reasons = append(reasons, fmt.Sprintf("the device takes updates by %s only", *f.Delivery))
	}
	schemes := slices.Clone(q.Schemes)
	if scheme, _, ok := strings.Cut(uri, "://"); ok && d == Pull {
		schemes = append(schemes, scheme)
	}
	slices.Sort(schemes)
	for _, scheme := range slices.Compact(schemes) {
		if f.Protocols != nil && !slices.ContainsFunc(f.Protocols, func(p objects.FirmwareProtocol) bool {
			return p.String() == scheme
		}) {
			reasons = append(reasons, fmt.Sprintf("the device does not fetch by %s, but by %s", scheme, words(f.Protocols)))
		}
	}
	return reasons
}

func words(list []objects.FirmwareProtocol) string {
	out := make([]string, 0, len(list))
	for _, p := range list {
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}
