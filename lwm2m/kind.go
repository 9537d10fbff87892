package lwm2m

import "slices"

// ParseKind returns the kind whose String is name, and whether there is one.
func ParseKind(name string) (Kind, bool) {
	i := slices.Index(kindNames[:], name)
	if i < 0 {
		return KindNone, false
	}
	return Kind(i), true //nolint:gosec // G115: there are ten kinds
}
