package objects

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"steward/lwm2m"
)

// A field binds one resource to a field of a Go struct, in both directions.
type field struct {
	id       uint16
	required bool // decoding without it fails
	multiple bool
	entries  func(resource lwm2m.Path) []lwm2m.Entry
	set      func(instance uint16, v lwm2m.Value) error // instance counts only if multiple
}

// A Link is an Object Link: an object instance, or lwm2m.NoID twice for none.
type Link struct{ Object, Instance uint16 }

// decode reads the entries below the object instance at base into a new T,
// whose fields are those that the method fields binds.
func decode[T any](base lwm2m.Path, entries []lwm2m.Entry, fields func(*T) []field) (T, error) {
	var t, zero T
	if base.Len() != 2 {
		return zero, fmt.Errorf("%w: %v is no object instance", lwm2m.ErrPath, base)
	}
	if err := read(base, entries, fields(&t)); err != nil {
		return zero, err
	}
	return t, nil
}

func read(base lwm2m.Path, entries []lwm2m.Entry, fields []field) error {
	seen := make([]bool, len(fields))
	for _, e := range entries {
		if !base.Contains(e.Path) || e.Path.Len() < 3 {
			continue
		}
		i := slices.IndexFunc(fields, func(f field) bool { return f.id == e.Path.ID(2) })
		if i < 0 {
			continue
		}
		if err := fields[i].take(e); err != nil {
			return fmt.Errorf("%v: %w", e.Path, err)
		}
		seen[i] = true
	}
	for i, f := range fields {
		if f.required && !seen[i] {
			return fmt.Errorf("%w: %v", ErrMissing, base.Child(f.id))
		}
	}
	return nil
}

// take sets the field from the entry of its resource.
func (f field) take(e lwm2m.Entry) error {
	if f.multiple != (e.Path.Len() == lwm2m.MaxDepth) {
		return ErrShape
	}
	if f.multiple {
		return f.set(e.Path.ID(3), e.Value)
	}
	return f.set(0, e.Value)
}

// encode returns the entries of fields below the object instance at base,
// ordered by path.
func encode(base lwm2m.Path, fields []field) []lwm2m.Entry {
	var out []lwm2m.Entry
	for _, f := range fields {
		out = append(out, f.entries(base.Child(f.id))...)
	}
	slices.SortFunc(out, func(a, b lwm2m.Entry) int { return a.Path.Compare(b.Path) })
	return out
}

// A kind converts between a Go type and the values of one LwM2M kind.
type kind[T any] struct {
	kind lwm2m.Kind
	to   func(T) lwm2m.Value
	from func(lwm2m.Value) (T, bool)
}

// parse returns v as a T, or ErrType.
func (k kind[T]) parse(v lwm2m.Value) (T, error) {
	converted, err := v.Convert(k.kind)
	if err != nil {
		var zero T
		return zero, fmt.Errorf("%w: %w", ErrType, err)
	}
	t, ok := k.from(converted)
	if !ok {
		return t, fmt.Errorf("%w: %v is out of range", ErrType, v)
	}
	return t, nil
}

// single binds a mandatory resource.
func single[T any](id uint16, to *T, k kind[T]) field {
	return field{
		id: id, required: true,
		entries: func(p lwm2m.Path) []lwm2m.Entry { return one(p, k.to(*to)) },
		set:     func(_ uint16, v lwm2m.Value) error { return assign(to, v, k) },
	}
}

// optional binds a resource that is absent while the pointer is nil.
func optional[T any](id uint16, to **T, k kind[T]) field {
	return field{
		id: id,
		entries: func(p lwm2m.Path) []lwm2m.Entry {
			if *to == nil {
				return nil
			}
			return one(p, k.to(**to))
		},
		set: func(_ uint16, v lwm2m.Value) error {
			*to = new(T)
			return assign(*to, v, k)
		},
	}
}

// nonzero binds a resource that is absent while the field is zero.
func nonzero[T comparable](id uint16, to *T, k kind[T]) field {
	f := single(id, to, k)
	f.required = false
	present := f.entries
	f.entries = func(p lwm2m.Path) []lwm2m.Entry {
		var zero T
		if *to == zero {
			return nil
		}
		return present(p)
	}
	return f
}

// multiple binds a resource with instances; the map is nil without any.
func multiple[T any](id uint16, to *map[uint16]T, k kind[T]) field {
	return field{
		id: id, multiple: true,
		entries: func(p lwm2m.Path) []lwm2m.Entry {
			out := make([]lwm2m.Entry, 0, len(*to))
			for _, instance := range slices.Sorted(maps.Keys(*to)) {
				out = append(out, lwm2m.Entry{Path: p.Child(instance), Value: k.to((*to)[instance])})
			}
			return out
		},
		set: func(instance uint16, v lwm2m.Value) error {
			t, err := k.parse(v)
			if err != nil {
				return err
			}
			if *to == nil {
				*to = map[uint16]T{}
			}
			(*to)[instance] = t
			return nil
		},
	}
}

// opaque binds an opaque resource that is absent while the slice is nil.
func opaque(id uint16, to *[]byte) field {
	f := single(id, to, bytes())
	f.required = false
	present := f.entries
	f.entries = func(p lwm2m.Path) []lwm2m.Entry {
		if *to == nil {
			return nil
		}
		return present(p)
	}
	return f
}

// key binds an opaque resource that is mandatory: written empty where there is
// none, for clients make an instance of what they are given; read empty or absent,
// it is nil.
func key(id uint16, to *[]byte) field {
	f := single(id, to, bytes())
	f.required = false
	f.set = func(_ uint16, v lwm2m.Value) error {
		err := assign(to, v, bytes())
		if len(*to) == 0 {
			*to = nil
		}
		return err
	}
	return f
}

// required makes decoding fail without the resource.
func required(f field) field {
	f.required = true
	return f
}

func one(p lwm2m.Path, v lwm2m.Value) []lwm2m.Entry { return []lwm2m.Entry{{Path: p, Value: v}} }

func assign[T any](to *T, v lwm2m.Value, k kind[T]) error {
	t, err := k.parse(v)
	if err == nil {
		*to = t
	}
	return err
}

func text() kind[string] {
	return kind[string]{lwm2m.KindString, lwm2m.String, func(v lwm2m.Value) (string, bool) { return v.Text(), true }}
}

func boolean() kind[bool] {
	return kind[bool]{lwm2m.KindBoolean, lwm2m.Boolean, lwm2m.Value.Bool}
}

func bytes() kind[[]byte] {
	return kind[[]byte]{lwm2m.KindOpaque, lwm2m.Opaque, func(v lwm2m.Value) ([]byte, bool) { return v.Bytes(), true }}
}

func link() kind[Link] {
	return kind[Link]{
		lwm2m.KindObjlnk,
		func(l Link) lwm2m.Value { return lwm2m.Objlnk(l.Object, l.Instance) },
		func(v lwm2m.Value) (Link, bool) {
			object, instance, ok := v.Link()
			return Link{object, instance}, ok
		},
	}
}

// moment is a time in whole seconds; the zero time.Time stands for absent.
func moment() kind[time.Time] {
	return kind[time.Time]{
		lwm2m.KindTime,
		func(t time.Time) lwm2m.Value { return lwm2m.Time(t.Unix()) },
		func(v lwm2m.Value) (time.Time, bool) {
			unix, ok := v.Int()
			return time.Unix(unix, 0).UTC(), ok
		},
	}
}

type signedOrUnsigned interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32
}

// integer is an Integer that must fit T.
func integer[T signedOrUnsigned]() kind[T] {
	return kind[T]{
		lwm2m.KindInteger,
		func(t T) lwm2m.Value { return lwm2m.Integer(int64(t)) },
		func(v lwm2m.Value) (T, bool) {
			i, ok := v.Int()
			t := T(i)
			return t, ok && int64(t) == i
		},
	}
}

// unsigned is an Unsigned Integer that must fit T.
func unsigned[T ~uint8 | ~uint16 | ~uint32 | ~uint64]() kind[T] {
	return kind[T]{
		lwm2m.KindUnsigned,
		func(t T) lwm2m.Value { return lwm2m.Unsigned(uint64(t)) },
		func(v lwm2m.Value) (T, bool) {
			u, ok := v.Uint()
			t := T(u)
			return t, ok && uint64(t) == u
		},
	}
}

// word returns the name of a typed constant, or its number in brackets.
func word[T ~uint8](names map[T]string, t T) string {
	if name, ok := names[t]; ok {
		return name
	}
	return fmt.Sprintf("(%d)", uint8(t))
}
