package codec

import (
	"slices"

	"steward/lwm2m"
)

// ChoosePaths returns the formats to try for the body of a Read-Composite or
// Observe-Composite (§6.3.8), as Choose does. The ETCH formats came with 1.2.
func ChoosePaths(v lwm2m.Version, supported []uint16) []uint16 {
	wanted := []uint16{SenMLCBOR, SenMLJSON}
	if v == lwm2m.Version12 {
		wanted = append(wanted, ETCHCBOR, ETCHJSON)
	}
	return announcedFirst(wanted, supported)
}

// ChooseComposite returns the formats to try for the answer to a composite
// operation, as Choose does: those with whole names.
func ChooseComposite(v lwm2m.Version, supported []uint16) []uint16 {
	wanted := []uint16{SenMLCBOR, SenMLJSON}
	if v == lwm2m.Version12 {
		wanted = []uint16{LwM2MCBOR, SenMLCBOR, SenMLJSON}
	}
	return announcedFirst(wanted, supported)
}

// ChooseCompositeWrite returns the formats to try for the body of a Write-Composite
// (§6.3.9), as Choose does. Only the ETCH formats can delete a resource instance.
func ChooseCompositeWrite(v lwm2m.Version, supported []uint16, deletes bool) []uint16 {
	if deletes {
		return announcedFirst([]uint16{ETCHCBOR, ETCHJSON}, supported)
	}
	wanted := ChooseComposite(v, supported)
	if v == lwm2m.Version12 {
		wanted = append(wanted, ETCHCBOR, ETCHJSON)
	}
	return announcedFirst(wanted, supported)
}

// announcedFirst moves what the client announced to the front, in our order.
func announcedFirst(wanted, supported []uint16) []uint16 {
	out := slices.DeleteFunc(slices.Clone(wanted), func(f uint16) bool { return !slices.Contains(supported, f) })
	for _, f := range wanted {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}
