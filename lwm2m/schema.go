package lwm2m

// Operations that a resource supports, as bits.
const (
	OpRead Operations = 1 << iota
	OpWrite
	OpExecute
)

// Operations is a set of OpRead, OpWrite and OpExecute.
type Operations uint8

// Has reports whether all operations of o are in the set.
func (s Operations) Has(o Operations) bool { return s&o == o }

// ResourceInfo is what an object definition says about one resource.
type ResourceInfo struct {
	Name       string
	Kind       Kind // KindNone for an executable
	Operations Operations
	Multiple   bool // has resource instances
	Mandatory  bool
	Units      string
	Range      string // as the registry writes it, for people
}

// A Schema tells the type of resources. Decoders need it for formats that carry
// none (TLV, text, opaque); its answer is false for what it does not know, and
// then values of such formats stay Opaque.
type Schema interface {
	Resource(object, resource uint16) (ResourceInfo, bool)
}

// KindOf returns the kind of the leaf at p, KindNone if s is nil or does not
// know the resource or p is not as deep as a resource.
func KindOf(s Schema, p Path) Kind {
	if s == nil || p.Len() < 3 {
		return KindNone
	}
	info, ok := s.Resource(p.ID(0), p.ID(2))
	if !ok {
		return KindNone
	}
	return info.Kind
}
