package tlv

import (
	"fmt"
	"slices"

	"steward/lwm2m"
)

// Encode writes entries, all at or below base, as records that describe the
// node at base, in the order of their paths. An instance lwm2m.NoID below an
// object has no wrapper: a Create that leaves the choice to the client. No
// entries at a resource are a multiple resource without instances; no entries
// elsewhere are an empty body. It returns lwm2m.ErrPath for entries outside of
// base and for the root, lwm2m.ErrDuplicate, lwm2m.ErrValue or ErrLimit.
func Encode(base lwm2m.Path, entries []lwm2m.Entry) ([]byte, error) {
	if base.Len() == 0 {
		return nil, fmt.Errorf("%w: the root has no TLV", lwm2m.ErrPath)
	}
	for _, e := range entries {
		if e.Path.Len() < 3 || !base.Contains(e.Path) {
			return nil, fmt.Errorf("%w: %s is no value of %s", lwm2m.ErrPath, e.Path, base)
		}
	}
	if err := (lwm2m.Pack{Entries: entries}).Distinct(); err != nil {
		return nil, err
	}
	if base.Len() == 3 && len(entries) == 0 {
		return appendRecord(nil, typeMultiple, base.ID(2), nil)
	}
	entries = sorted(entries)
	if base.Len() > 1 {
		return appendResources(nil, entries)
	}
	return appendGroups(nil, entries, 1, func(b []byte, group []lwm2m.Entry) ([]byte, error) {
		inner, err := appendResources(nil, group)
		if id := group[0].Path.ID(1); err == nil && id != lwm2m.NoID {
			return appendRecord(b, typeObjectInstance, id, inner)
		}
		return append(b, inner...), err
	})
}

func sorted(entries []lwm2m.Entry) []lwm2m.Entry {
	byPath := func(a, b lwm2m.Entry) int { return a.Path.Compare(b.Path) }
	if slices.IsSortedFunc(entries, byPath) {
		return entries
	}
	out := slices.Clone(entries)
	slices.SortStableFunc(out, byPath)
	return out
}

type appender func(b []byte, group []lwm2m.Entry) ([]byte, error)

// appendGroups calls add for each run of entries with the same identifier at
// depth.
func appendGroups(b []byte, entries []lwm2m.Entry, depth int, add appender) ([]byte, error) {
	for len(entries) > 0 {
		id, n := entries[0].Path.ID(depth), 1
		for n < len(entries) && entries[n].Path.ID(depth) == id {
			n++
		}
		var err error
		if b, err = add(b, entries[:n]); err != nil {
			return nil, err
		}
		entries = entries[n:]
	}
	return b, nil
}

// appendResources appends the resources of one instance.
func appendResources(b []byte, entries []lwm2m.Entry) ([]byte, error) {
	return appendGroups(b, entries, 2, func(b []byte, group []lwm2m.Entry) ([]byte, error) {
		p := group[0].Path
		if p.Len() == 3 {
			return appendLeaf(b, typeResource, p.ID(2), group[0].Value)
		}
		var inner []byte
		for _, e := range group {
			var err error
			if inner, err = appendLeaf(inner, typeResourceInstance, e.Path.ID(3), e.Value); err != nil {
				return nil, fmt.Errorf("%s: %w", e.Path, err)
			}
		}
		return appendRecord(b, typeMultiple, p.ID(2), inner)
	})
}

func appendLeaf(b []byte, kind byte, id uint16, v lwm2m.Value) ([]byte, error) {
	raw, err := appendValue(nil, v)
	if err != nil {
		return nil, err
	}
	return appendRecord(b, kind, id, raw)
}

// appendRecord appends one record with the shortest head (Table 7.5.5.-1).
func appendRecord(b []byte, kind byte, id uint16, value []byte) ([]byte, error) {
	n := len(value)
	if n > maxLength {
		return nil, fmt.Errorf("%w: %d bytes", ErrLimit, n)
	}
	first := kind << 6
	if id > 0xff {
		first |= 1 << 5
	}
	size := 0
	for v := n; n >= 8 && v > 0; v >>= 8 {
		size++
	}
	if size == 0 {
		first |= byte(n) //nolint:gosec // G115: below 8
	}
	b = append(b, first|byte(size)<<3)
	if id > 0xff {
		b = append(b, byte(id>>8))
	}
	b = append(b, byte(id)) //nolint:gosec // G115: the low half
	for i := size - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i))) //nolint:gosec // G115: one byte of it
	}
	return append(b, value...), nil
}
