package server

import (
	"encoding/binary"
	"strings"

	"steward/lwm2m"
)

// A form is what a device told of itself beside its name. Most devices of a model
// tell the same: it is kept once.
type form struct {
	version lwm2m.Version
	binding string
	queue   bool
	sms     string
	root    string
	formats []uint16
	objects []ObjectLink
	unknown []string

	key   string // all of the above
	users int    // entries that have it
}

// forms are all forms in use, by their keys.
type forms map[string]*form

// take returns the form of a registration for one more user. The slices of r
// become those of the form: nobody may change them any more.
func (f forms) take(r *Registration) *form {
	key := formKey(r)
	known := f[key]
	if known == nil {
		known = &form{
			version: r.Version, binding: r.Binding, queue: r.Queue, sms: r.SMS, root: r.Root, formats: r.Formats,
			objects: r.Objects, unknown: r.Unknown, key: key,
		}
		f[key] = known
	}
	known.users++
	return known
}

// drop forgets one user of a form.
func (f forms) drop(known *form) {
	if known.users--; known.users == 0 {
		delete(f, known.key)
	}
}

// formKey writes a registration's form so that two are equal if their keys are.
func formKey(r *Registration) string {
	var b strings.Builder
	text := func(t string) {
		var n [binary.MaxVarintLen64]byte
		b.Write(n[:binary.PutUvarint(n[:], uint64(len(t)))])
		b.WriteString(t)
	}
	number := func(n int) {
		var a [binary.MaxVarintLen64]byte
		b.Write(a[:binary.PutUvarint(a[:], uint64(n))]) //nolint:gosec // G115: lengths and identifiers
	}
	queue := 0
	if r.Queue {
		queue = 1
	}
	const perLink = 4
	b.Grow(64 + perLink*len(r.Objects))
	number(queue)
	for _, t := range []string{string(r.Version), r.Binding, r.SMS, r.Root} {
		text(t)
	}
	number(len(r.Formats))
	for _, f := range r.Formats {
		number(int(f))
	}
	number(len(r.Unknown))
	for _, t := range r.Unknown {
		text(t)
	}
	for _, o := range r.Objects {
		number(o.Path.Len())
		for i := range o.Path.Len() {
			number(int(o.Path.ID(i)))
		}
		text(o.Version)
	}
	return b.String()
}
