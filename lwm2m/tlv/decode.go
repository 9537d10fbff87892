package tlv

import (
	"fmt"

	"steward/lwm2m"
)

// Decode reads the records of body, which describe the node at base, in order.
// At an object, resources outside of an instance belong to the instance
// lwm2m.NoID: a Create that leaves the choice to the client. At an instance, a
// wrapper around its resources is accepted, and at a resource instance one
// around that. Types come from s, which may be nil; values of unknown resources
// are Opaque. It returns ErrTruncated, ErrNesting, ErrIdentifier, ErrLimit,
// lwm2m.ErrValue or lwm2m.ErrDuplicate.
func Decode(base lwm2m.Path, body []byte, s lwm2m.Schema) ([]lwm2m.Entry, error) {
	if base.Len() == 0 {
		return nil, fmt.Errorf("%w: an object has no record", ErrNesting)
	}
	n, err := count(body, maxDepth)
	if err != nil {
		return nil, err
	}
	if n > lwm2m.MaxEntries {
		return nil, fmt.Errorf("%w: %d values", ErrLimit, n)
	}
	d := decoder{base: base, schema: s}
	d.pack.Entries = make([]lwm2m.Entry, 0, n)
	for len(body) > 0 {
		var r record
		if r, body, err = next(body); err != nil {
			return nil, err
		}
		if err := d.top(r); err != nil {
			return nil, fmt.Errorf("record %d: %w", r.id, err)
		}
	}
	if err := d.pack.Distinct(); err != nil {
		return nil, err
	}
	return d.pack.Entries, nil
}

// count returns the number of values in b, so that they are allocated at once.
func count(b []byte, depth int) (int, error) {
	if depth == 0 {
		return 0, ErrNesting
	}
	total := 0
	for len(b) > 0 {
		r, rest, err := next(b)
		if err != nil {
			return 0, err
		}
		b = rest
		n := 1
		if r.kind == typeObjectInstance || r.kind == typeMultiple {
			if n, err = count(r.value, depth-1); err != nil {
				return 0, err
			}
		}
		total += n
	}
	return total, nil
}

type decoder struct {
	base   lwm2m.Path
	schema lwm2m.Schema
	pack   lwm2m.Pack
}

// top places a record that stands in no other.
func (d *decoder) top(r record) error {
	switch n := d.base.Len(); {
	case r.kind == typeObjectInstance:
		return d.instance(r)
	case r.kind == typeResourceInstance:
		if n < 3 {
			return ErrNesting
		}
		return d.leaf(d.base.Prefix(3), r)
	case n == 1:
		return d.resource(d.base.Child(lwm2m.NoID), r)
	default:
		return d.resource(d.base.Prefix(2), r)
	}
}

func (d *decoder) instance(r record) error {
	if d.base.Len() > 2 || r.id == lwm2m.NoID {
		return ErrNesting
	}
	p := d.base.Prefix(1).Child(r.id)
	if d.base.Len() == 2 && p != d.base {
		return ErrIdentifier
	}
	for rest := r.value; len(rest) > 0; {
		var inner record
		var err error
		if inner, rest, err = next(rest); err != nil {
			return err
		}
		if err := d.resource(p, inner); err != nil {
			return err
		}
	}
	return nil
}

// resource reads a resource of the instance at p.
func (d *decoder) resource(p lwm2m.Path, r record) error {
	if r.kind == typeResource {
		return d.leaf(p, r)
	}
	if r.kind != typeMultiple || r.id == lwm2m.NoID {
		return ErrNesting
	}
	p = p.Child(r.id)
	if !d.base.Contains(p) && !p.Contains(d.base) {
		return ErrIdentifier
	}
	for rest := r.value; len(rest) > 0; {
		var inner record
		var err error
		if inner, rest, err = next(rest); err != nil {
			return err
		}
		if inner.kind != typeResourceInstance {
			return ErrNesting
		}
		if err := d.leaf(p, inner); err != nil {
			return err
		}
	}
	return nil
}

// leaf keeps the value of a record below p.
func (d *decoder) leaf(p lwm2m.Path, r record) error {
	if r.id == lwm2m.NoID {
		return ErrIdentifier
	}
	p = p.Child(r.id)
	if !d.base.Contains(p) {
		return ErrIdentifier
	}
	v, err := value(lwm2m.KindOf(d.schema, p), r.value)
	if err != nil {
		return err
	}
	d.pack.Add("", lwm2m.Entry{Path: p, Value: v})
	return nil
}
