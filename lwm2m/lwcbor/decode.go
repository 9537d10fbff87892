package lwcbor

import (
	"fmt"
	"slices"

	"steward/lwm2m"
	"steward/lwm2m/internal/cbor"
)

// minEntry is the length in bytes of the shortest entry of a map, a small key
// and a small value.
const minEntry = 2

// Decode reads a body, whose top level begins with object identifiers. The
// instance lwm2m.NoID is one that a Create leaves to the client. Types come
// from s, which may be nil. It returns ErrSyntax, ErrPath, ErrLimit,
// lwm2m.ErrValue or lwm2m.ErrDuplicate.
func Decode(body []byte, s lwm2m.Schema) (lwm2m.Pack, error) {
	d := decoder{in: cbor.NewReader(body), schema: s}
	h, err := d.in.Head()
	if err != nil {
		return lwm2m.Pack{}, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if h.Major != cbor.MajorMap {
		return lwm2m.Pack{}, fmt.Errorf("%w: no map", ErrSyntax)
	}
	if err := d.entries(h, node{}, maxNesting); err != nil {
		return lwm2m.Pack{}, fmt.Errorf("offset %d: %w", d.in.Offset(), err)
	}
	if d.in.Left() != 0 {
		return lwm2m.Pack{}, fmt.Errorf("%w: %d bytes too many", ErrSyntax, d.in.Left())
	}
	if err := d.pack.Distinct(); err != nil {
		return lwm2m.Pack{}, err
	}
	return d.pack, nil
}

type decoder struct {
	in     *cbor.Reader
	schema lwm2m.Schema
	pack   lwm2m.Pack
}

// node is where the keys so far lead.
type node struct {
	prefix string
	path   lwm2m.Path
}

// entries reads the entries of a map whose head is h.
func (d *decoder) entries(h cbor.Head, at node, depth int) error {
	if depth == 0 {
		return fmt.Errorf("%w: nested too deep", ErrSyntax)
	}
	d.grow(h)
	for n := uint64(0); d.in.Next(h, n); n++ {
		child, err := d.key(at)
		if err != nil {
			return err
		}
		head, err := d.in.Head()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSyntax, err)
		}
		if head.Major == cbor.MajorMap {
			err = d.entries(head, child, depth-1)
		} else {
			err = d.leaf(head, child)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// grow makes room for the entries of a map at once if it states its length;
// the input bounds that.
func (d *decoder) grow(h cbor.Head) {
	if !h.Indefinite {
		more := min(d.in.Count(h, minEntry), lwm2m.MaxEntries)
		d.pack.Entries = slices.Grow(d.pack.Entries, more)
	}
}

// key reads a key, an identifier or an array of them, relative to at.
func (d *decoder) key(at node) (node, error) {
	h, err := d.in.Head()
	if err != nil {
		return at, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	switch h.Major {
	case cbor.MajorUint:
		return at.child(h)
	case cbor.MajorArray:
	default:
		return at, fmt.Errorf("%w: key of type %d", ErrSyntax, h.Major)
	}
	n := uint64(0)
	for ; d.in.Next(h, n); n++ {
		id, err := d.in.Head()
		if err != nil {
			return at, fmt.Errorf("%w: %w", ErrSyntax, err)
		}
		if n == 0 && id.Major == cbor.MajorText {
			at, err = d.prefix(id, at)
		} else {
			at, err = at.child(id)
		}
		if err != nil {
			return at, err
		}
	}
	if n == 0 {
		return at, fmt.Errorf("%w: empty array", ErrPath)
	}
	return at, nil
}

// prefix reads the text that precedes the path of a device behind a gateway
// (Gateway 1.1.1 §10).
func (d *decoder) prefix(h cbor.Head, at node) (node, error) {
	text, err := d.in.Content(h)
	if err != nil {
		return at, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if at != (node{}) || len(text) == 0 || len(text) > maxPrefix {
		return at, fmt.Errorf("%w: prefix", ErrPath)
	}
	at.prefix = string(text)
	return at, nil
}

// child goes down to the identifier that h holds. lwm2m.NoID is allowed for an
// instance only.
func (at node) child(h cbor.Head) (node, error) {
	depth := at.path.Len()
	if h.Major != cbor.MajorUint || h.Arg > lwm2m.NoID || depth == lwm2m.MaxDepth || (h.Arg == lwm2m.NoID && depth != 1) {
		return at, fmt.Errorf("%w: below %s", ErrPath, at.path)
	}
	at.path = at.path.Child(uint16(h.Arg))
	return at, nil
}

// leaf keeps the value whose head is h.
func (d *decoder) leaf(h cbor.Head, at node) error {
	if at.path.Len() < 3 {
		return fmt.Errorf("%w: value of %s", ErrPath, at.path)
	}
	if len(d.pack.Entries) == lwm2m.MaxEntries {
		return ErrLimit
	}
	v, err := d.in.ValueOf(h)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	v, err = v.Convert(lwm2m.KindOf(d.schema, at.path))
	if err != nil {
		return fmt.Errorf("%s: %w", at.path, err)
	}
	d.pack.Add(at.prefix, lwm2m.Entry{Path: at.path, Value: v})
	return nil
}
