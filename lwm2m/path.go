package lwm2m

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unique"
)

// ErrPath reports text that is not an LwM2M path.
var ErrPath = errors.New("malformed path")

// MaxDepth is the number of identifiers in the longest path:
// object / object instance / resource / resource instance.
const MaxDepth = 4

// NoID is the identifier that names nothing (Core 1.2.2 §7.2): it is reserved
// on the wire and never part of a path.
const NoID = 65535

// A Path names a node of a device's object tree, or of that of a device behind it
// if it is a gateway. The zero Path is the root. Paths are comparable, so they
// serve as map keys.
type Path struct {
	behind unique.Handle[string] // prefix of a device behind a gateway; zero: none
	ids    [MaxDepth]uint16
	n      uint8 // identifiers in use, 0..MaxDepth
}

// NewPath returns the path made of ids. It panics on more than MaxDepth ids:
// the length of a path is always known where it is written.
func NewPath(ids ...uint16) Path {
	if len(ids) > MaxDepth {
		panic("lwm2m: path deeper than a resource instance")
	}
	var p Path
	for _, id := range ids {
		p = p.Child(id)
	}
	return p
}

// ParsePath parses text such as "/3/0/1". "/" is the root. It returns ErrPath if a
// segment is not a decimal number in 0..65534, so for a node behind a gateway.
func ParsePath(text string) (Path, error) {
	if text == "/" {
		return Path{}, nil
	}
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		return Path{}, fmt.Errorf("%w: %q does not begin with a slash", ErrPath, text)
	}
	return ParseSegments(strings.Split(rest, "/"))
}

// ParseSegments makes a path of its Uri-Path segments; none is the root.
// It returns ErrPath as ParsePath does.
func ParseSegments(segments []string) (Path, error) {
	if len(segments) > MaxDepth {
		return Path{}, fmt.Errorf("%w: more than %d segments", ErrPath, MaxDepth)
	}
	var p Path
	for _, s := range segments {
		id, err := strconv.ParseUint(s, 10, 16)
		if err != nil || id == NoID || (len(s) > 1 && s[0] == '0') {
			return Path{}, fmt.Errorf("%w: segment %q", ErrPath, s)
		}
		p = p.Child(uint16(id))
	}
	return p, nil
}

// Len returns the number of identifiers in p, 0 for the root.
func (p Path) Len() int { return int(p.n) }

// ID returns the identifier at depth i: 0 object, 1 object instance,
// 2 resource, 3 resource instance. It panics if p is shorter.
func (p Path) ID(i int) uint16 {
	if i >= p.Len() {
		panic("lwm2m: path has no identifier at that depth")
	}
	return p.ids[i]
}

// Object returns the first identifier. It panics on the root.
func (p Path) Object() uint16 { return p.ID(0) }

// HoldsKeys reports whether p is a node of an object that holds keys: Security or
// OSCORE (Core 1.2.2 Appendix E.1, E.8). The root is of none.
func (p Path) HoldsKeys() bool { return p.n > 0 && (p.ids[0] == 0 || p.ids[0] == 21) }

// Child returns the path of the node id directly below p.
// It panics if p already names a resource instance.
func (p Path) Child(id uint16) Path {
	p.ids[p.n] = id
	p.n++
	return p
}

// Parent returns the path one level up; the root is its own parent.
func (p Path) Parent() Path {
	if p.n == 0 {
		return p
	}
	return p.Prefix(p.Len() - 1)
}

// Prefix returns the first n identifiers of p. It panics if p is shorter.
func (p Path) Prefix(n int) Path {
	if n > p.Len() {
		panic("lwm2m: prefix longer than the path")
	}
	short := NewPath(p.ids[:n]...)
	short.behind = p.behind
	return short
}

// Contains reports whether q is p or a node below p.
func (p Path) Contains(q Path) bool {
	return q.n >= p.n && q.Prefix(p.Len()) == p
}

// Compare orders paths by their identifiers, a parent before its children, after
// the prefixes of devices behind a gateway: those of the device itself go first.
func (p Path) Compare(q Path) int {
	if p.behind != q.behind {
		return strings.Compare(p.Gateway(), q.Gateway())
	}
	for i := range min(p.n, q.n) {
		if p.ids[i] != q.ids[i] {
			return int(p.ids[i]) - int(q.ids[i])
		}
	}
	return int(p.n) - int(q.n)
}

// Segments returns p as Uri-Path segments, none for the root.
func (p Path) Segments() []string {
	out := make([]string, 0, MaxDepth+1)
	if prefix := p.Gateway(); prefix != "" {
		out = append(out, prefix)
	}
	for _, id := range p.ids[:p.n] {
		out = append(out, strconv.FormatUint(uint64(id), 10))
	}
	return out
}

// String returns the text that ParseNode accepts.
func (p Path) String() string { return "/" + strings.Join(p.Segments(), "/") }
