package lwcbor

import (
	"fmt"
	"slices"
	"strings"

	"steward/lwm2m"
	"steward/lwm2m/internal/cbor"
)

// Encode writes entries in the order of their paths, with as few maps as
// possible: identifiers without a sibling join the key of the next level. It
// returns lwm2m.ErrPath for an entry that is no leaf, lwm2m.ErrValue or
// lwm2m.ErrDuplicate.
func Encode(pack lwm2m.Pack) ([]byte, error) {
	if err := pack.Distinct(); err != nil {
		return nil, err
	}
	e := encoder{pack: pack, order: make([]int, len(pack.Entries))}
	for i, entry := range pack.Entries {
		if entry.Path.Len() < 3 {
			return nil, fmt.Errorf("%w: %s has no value of its own", lwm2m.ErrPath, entry.Path)
		}
		e.order[i] = i
	}
	slices.SortFunc(e.order, func(i, j int) int {
		if c := strings.Compare(pack.Prefix(i), pack.Prefix(j)); c != 0 {
			return c
		}
		return pack.Entries[i].Path.Compare(pack.Entries[j].Path)
	})
	for k := 1; k < len(e.order); k++ {
		if i, j := e.order[k-1], e.order[k]; e.same(i, j, lwm2m.MaxDepth+1) {
			return nil, fmt.Errorf("%w: %s", lwm2m.ErrDuplicate, pack.Entries[j].Path)
		}
	}
	b := make([]byte, 0, 8+12*len(pack.Entries))
	return e.group(b, 0, len(e.order), 0)
}

type encoder struct {
	pack  lwm2m.Pack
	order []int // indices of entries, sorted
}

// same reports whether entries i and j share the first depth levels, of which
// the prefix is one: level 0 prefix, 1 object, …, 4 resource instance.
func (e *encoder) same(i, j, depth int) bool {
	if depth > 0 && e.pack.Prefix(i) != e.pack.Prefix(j) {
		return false
	}
	p, q := e.pack.Entries[i].Path, e.pack.Entries[j].Path
	for level := 1; level < depth; level++ {
		if p.Len() < level || q.Len() < level {
			return p.Len() == q.Len()
		}
		if p.ID(level-1) != q.ID(level-1) {
			return false
		}
	}
	return true
}

// run returns the end of the entries from k on, before end, that share depth
// levels with entry k.
func (e *encoder) run(k, end, depth int) int {
	n := k + 1
	for n < end && e.same(e.order[k], e.order[n], depth) {
		n++
	}
	return n
}

// group appends a map of entries from to end, which share depth levels.
func (e *encoder) group(b []byte, from, end, depth int) ([]byte, error) {
	keys := uint64(0)
	for k := from; k < end; k = e.run(k, end, e.keyLevels(depth)) {
		keys++
	}
	b = cbor.AppendHead(b, cbor.MajorMap, keys)
	for k := from; k < end; {
		next := e.run(k, end, e.keyLevels(depth))
		var err error
		if b, err = e.keyed(b, k, next, depth); err != nil {
			return nil, err
		}
		k = next
	}
	return b, nil
}

// keyLevels returns how deep the first step of a key goes: a prefix is never a
// key by itself, so it takes the object along.
func (e *encoder) keyLevels(depth int) int { return max(depth+1, 2) }

// keyed appends the key of entries from to end and what belongs to it.
func (e *encoder) keyed(b []byte, from, end, depth int) ([]byte, error) {
	first := e.order[from]
	entry := e.pack.Entries[first]
	leaf := entry.Path.Len() + 1
	to := e.keyLevels(depth)
	for to < leaf && e.run(from, end, to+1) == end {
		to++
	}
	b = e.key(b, first, depth, to)
	if to < leaf || end-from > 1 {
		return e.group(b, from, end, to)
	}
	b, err := cbor.AppendValue(b, entry.Value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", entry.Path, err)
	}
	return b, nil
}

// key appends the levels of entry i from depth to to.
func (e *encoder) key(b []byte, i, depth, to int) []byte {
	prefix, path := e.pack.Prefix(i), e.pack.Entries[i].Path
	start := max(depth, 1)
	n := to - start
	if depth == 0 && prefix != "" {
		n++
	}
	if n > 1 {
		b = cbor.AppendHead(b, cbor.MajorArray, uint64(n))
	}
	if depth == 0 && prefix != "" {
		b = cbor.AppendText(b, prefix)
	}
	for level := start; level < to; level++ {
		b = cbor.AppendHead(b, cbor.MajorUint, uint64(path.ID(level-1)))
	}
	return b
}
