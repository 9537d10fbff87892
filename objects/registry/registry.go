// Package registry holds what the OMA object registry says about 327 objects in
// 424 versions: names, operations, types, ranges and units. It implements
// lwm2m.Schema and serves pages and commands that explain objects to people.
//
// The tables are embedded and parsed once, when they are first asked for; names
// and ranges stay substrings of the embedded text.
package registry

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"steward/lwm2m"
)

// A Registry is a set of object definitions. Those that it is made with do not
// change; Extend adds others to them. It is safe for concurrent use.
type Registry struct {
	objects  []Object                 // ordered by id, then by version, oldest first
	extended atomic.Pointer[[]Object] // the same with those of Extend; nil: none
}

// list returns all definitions as they are now.
func (r *Registry) list() []Object {
	if all := r.extended.Load(); all != nil {
		return *all
	}
	return r.objects
}

// Extend has the registry know the custom objects beside those that it was made
// with, in place of what an earlier call gave. One with the id and version of an
// object that it was made with takes its place.
func (r *Registry) Extend(custom ...Object) {
	all := merge(r.objects, custom)
	r.extended.Store(&all)
}

// Made returns a registry of the definitions that r was made with alone.
func (r *Registry) Made() *Registry { return &Registry{objects: r.objects} }

// An Object is one version of an object definition.
type Object struct {
	ID        uint16
	Version   string // "1.0"
	LwM2M     string // first enabler version that this definition works with
	Name      string
	URN       string
	Multiple  bool // may have several instances
	Mandatory bool // every client has it
	Resources []Resource
}

// A Resource is the definition of one resource of an object.
type Resource struct {
	ID uint16
	lwm2m.ResourceInfo
}

// Letters returns the operations as the registry writes them: "R", "W", "RW",
// "E", or "" for a resource that only bootstrap can touch.
func (r Resource) Letters() string {
	var b strings.Builder
	for _, o := range operations {
		if r.Operations.Has(o.bit) {
			b.WriteByte(o.letter)
		}
	}
	return b.String()
}

var operations = [...]struct {
	bit    lwm2m.Operations
	letter byte
}{{lwm2m.OpRead, 'R'}, {lwm2m.OpWrite, 'W'}, {lwm2m.OpExecute, 'E'}}

// Resource returns the definition of the resource id, and whether o has it.
func (o Object) Resource(id uint16) (Resource, bool) {
	i, ok := slices.BinarySearchFunc(o.Resources, id, func(r Resource, id uint16) int { return cmp.Compare(r.ID, id) })
	if !ok {
		return Resource{}, false
	}
	return o.Resources[i], true
}

// Object returns the newest version of the object id, and whether it is known.
func (r *Registry) Object(id uint16) (Object, bool) {
	versions := r.Versions(id)
	if len(versions) == 0 {
		return Object{}, false
	}
	return versions[len(versions)-1], true
}

// Versioned returns the given version of the object id, and whether it is known.
func (r *Registry) Versioned(id uint16, version string) (Object, bool) {
	for _, o := range r.Versions(id) {
		if o.Version == version {
			return o, true
		}
	}
	return Object{}, false
}

// Versions returns the versions of the object id, oldest first, nil if there is
// none. The caller must not change the result.
func (r *Registry) Versions(id uint16) []Object {
	all := r.list()
	from, _ := slices.BinarySearchFunc(all, id, func(o Object, id uint16) int { return cmp.Compare(o.ID, id) })
	to := from
	for to < len(all) && all[to].ID == id {
		to++
	}
	return all[from:to:to]
}

// Objects returns every version of every object, ordered by id and version.
// The caller must not change the result.
func (r *Registry) Objects() []Object { return slices.Clip(r.list()) }

// Resource implements lwm2m.Schema. The newest version that has the resource
// answers, for a device may implement any of them.
func (r *Registry) Resource(object, resource uint16) (lwm2m.ResourceInfo, bool) {
	for _, o := range slices.Backward(r.Versions(object)) {
		if found, ok := o.Resource(resource); ok {
			return found.ResourceInfo, true
		}
	}
	return lwm2m.ResourceInfo{}, false
}

// With returns a registry that also has the custom objects. One with the id and
// version of an existing object takes its place. Resources may be in any order.
func (r *Registry) With(custom ...Object) *Registry {
	return &Registry{objects: merge(r.list(), custom)}
}

// merge returns objects with the custom ones, in order.
func merge(objects, custom []Object) []Object {
	objects = slices.Clone(objects)
	for _, o := range custom {
		o.Resources = slices.SortedFunc(slices.Values(o.Resources), compareResources)
		i, found := slices.BinarySearchFunc(objects, o, compareObjects)
		if found {
			objects[i] = o
			continue
		}
		objects = slices.Insert(objects, i, o)
	}
	return objects
}

func compareResources(a, b Resource) int { return cmp.Compare(a.ID, b.ID) }

func compareObjects(a, b Object) int {
	return cmp.Or(cmp.Compare(a.ID, b.ID), CompareVersions(a.Version, b.Version))
}

// CompareVersions orders object versions by number, so that "1.10" comes after
// "1.9". A part that is no number counts as zero.
func CompareVersions(a, b string) int {
	aMajor, aMinor := version(a)
	bMajor, bMinor := version(b)
	return cmp.Or(cmp.Compare(aMajor, bMajor), cmp.Compare(aMinor, bMinor))
}

func version(text string) (major, minor int) {
	before, after, _ := strings.Cut(text, ".")
	major, _ = strconv.Atoi(before)
	minor, _ = strconv.Atoi(after)
	return major, minor
}
