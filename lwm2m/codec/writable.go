package codec

import (
	"slices"

	"steward/lwm2m"
)

// ChooseWrite is Choose for a body that we send: without the formats that have
// no encoder, which is the JSON of 1.0 even if a client announces it.
func ChooseWrite(v lwm2m.Version, supported []uint16, path lwm2m.Path, kind lwm2m.Kind) []uint16 {
	return slices.DeleteFunc(Choose(v, supported, path, kind), func(f uint16) bool {
		r, ok := lookup(f)
		return !ok || r.encode == nil
	})
}
