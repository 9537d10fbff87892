package codec

import (
	"slices"

	"steward/lwm2m"
)

// Choose returns the formats to try for reading or writing the node at path,
// best first; on 4.06 or 4.15 the caller takes the next. kind is that of the
// leaf, KindNone if unknown or if path is not that deep. supported lists what
// the client announced in "ct" (§6.2.1): these come before others that its
// version ought to have. The result is never empty.
func Choose(v lwm2m.Version, supported []uint16, path lwm2m.Path, kind lwm2m.Kind) []uint16 {
	wanted := preferred(v, path, kind)
	out := make([]uint16, 0, len(wanted)+1)
	for _, f := range wanted {
		if slices.Contains(supported, f) {
			out = append(out, f)
		}
	}
	for _, f := range supported {
		if !slices.Contains(wanted, f) && holds(f, path, kind) {
			out = append(out, f)
		}
	}
	for _, f := range wanted {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// preferred is the order for a client that announced nothing (§7.5). Clients
// from 1.1 on must not use 11543 and had better not use TLV.
func preferred(v lwm2m.Version, path lwm2m.Path, kind lwm2m.Kind) []uint16 {
	var out []uint16
	if holds(Opaque, path, kind) && kind == lwm2m.KindOpaque {
		out = append(out, Opaque) // no overhead, and every client streams it
	}
	switch v {
	case lwm2m.Version10:
		out = append(out, TLV)
	case lwm2m.Version12:
		out = append(out, LwM2MCBOR, SenMLCBOR, SenMLJSON)
	default:
		out = append(out, SenMLCBOR, SenMLJSON)
	}
	if path.Len() < 3 {
		return out
	}
	if v != lwm2m.Version10 {
		out = append(out, CBOR)
	}
	if kind == lwm2m.KindNone || kind == lwm2m.KindOpaque {
		return append(out, Text)
	}
	// All clients must have text: it is the second, and so the last, that a device
	// is offered that announced nothing (§7.5).
	return slices.Insert(out, 1, Text)
}

// holds reports whether the format can carry the values of the node.
func holds(format uint16, path lwm2m.Path, kind lwm2m.Kind) bool {
	switch format {
	case Text, CBOR:
		return path.Len() >= 3
	case Opaque:
		return path.Len() >= 3 && (kind == lwm2m.KindOpaque || kind == lwm2m.KindNone)
	case SenMLJSON, SenMLCBOR, LwM2MCBOR:
		return true
	case TLV, JSON:
		return path.Len() > 0
	}
	return false
}
