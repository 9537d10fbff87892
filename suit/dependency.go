package suit

import (
	"fmt"
	"slices"
)

// A Dependency is a component whose content is an envelope of its own
// (draft-ietf-suit-trust-domains §5.1).
type Dependency struct {
	// Index is its component index.
	Index int
	// Prefix goes before the component identifiers of the dependency; empty for
	// none. Published examples have an index beyond the components: there the
	// prefix is the identifier of the component itself.
	Prefix ComponentID
}

const (
	// maxIndex bounds the indices of dependencies beyond the components.
	maxIndex = 255

	keyPrefix = 1
)

// Component returns the identifier with the given index; ok is false if there is
// none. A dependency beyond the components is named by its prefix.
func (m *Manifest) Component(index int) (id ComponentID, ok bool) {
	if index >= 0 && index < len(m.Components) {
		return m.Components[index], true
	}
	d, ok := m.Dependency(index)
	return d.Prefix, ok
}

// Dependency returns the dependency with the given component index.
func (m *Manifest) Dependency(index int) (d Dependency, ok bool) {
	i := slices.IndexFunc(m.Dependencies, func(d Dependency) bool { return d.Index == index })
	if i < 0 {
		return Dependency{}, false
	}
	return m.Dependencies[i], true
}

// Join returns the identifier made of the segments of id and then of more.
func (id ComponentID) Join(more ComponentID) ComponentID {
	return NewComponentID(append(id.Segments(), more.Segments()...)...)
}

// dependenciesOf reads the map from component index to dependency metadata.
func dependenciesOf(i item) ([]Dependency, error) {
	pairs, err := i.pairs()
	if err != nil || len(pairs) == 0 || len(pairs) > MaxComponents {
		return nil, fmt.Errorf("%w: dependencies are not a map with entries", ErrStructure)
	}
	list := make([]Dependency, 0, len(pairs))
	for _, p := range pairs {
		n, err := p.key.uint()
		if err != nil || n > maxIndex {
			return nil, fmt.Errorf("%w: index %d of a dependency", ErrStructure, n)
		}
		d, err := dependencyOf(p.value)
		if err != nil {
			return nil, fmt.Errorf("dependency %d: %w", n, err)
		}
		d.Index = int(n)
		list = append(list, d)
	}
	return list, nil
}

func dependencyOf(i item) (d Dependency, err error) {
	pairs, err := i.pairs()
	if err != nil {
		return d, err
	}
	for _, p := range pairs {
		if key, err := p.key.uint(); err != nil || key != keyPrefix {
			return d, fmt.Errorf("%w: unknown metadata", ErrStructure)
		}
		if d.Prefix, err = componentOf(p.value); err != nil {
			return d, err
		}
	}
	return d, nil
}

// checkDependencies refuses a dependency beyond the components that nothing
// names.
func (m *Manifest) checkDependencies() error {
	for _, d := range m.Dependencies {
		if d.Index >= len(m.Components) && (d.Prefix == "" || slices.Contains(m.Components, d.Prefix)) {
			return fmt.Errorf("%w: dependency %d of %d components", ErrStructure, d.Index, len(m.Components))
		}
	}
	return nil
}

// indices returns what commands may select.
func (m *Manifest) indices() indices {
	x := indices{components: len(m.Components)}
	for _, d := range m.Dependencies {
		if d.Index >= x.components {
			x.beyond = append(x.beyond, d.Index)
		}
	}
	return x
}

// encodeDependencies is the inverse of dependenciesOf.
func encodeDependencies(list []Dependency) []byte {
	pairs := make([]pair, 0, len(list))
	for _, d := range list {
		var inner []pair
		if d.Prefix != "" {
			inner = append(inner, pair{key: intKey(keyPrefix), value: item(d.Prefix)})
		}
		pairs = append(pairs, pair{key: intKey(int64(d.Index)), value: appendMap(nil, inner)})
	}
	return appendMap(nil, pairs)
}

// indices are the component indices of a manifest: those of its components, and
// those of dependencies that are not among them.
type indices struct {
	components int
	beyond     []int
}

func (x indices) count() int { return x.components + len(x.beyond) }

func (x indices) has(n uint64) bool {
	if n > maxIndex {
		return false
	}
	i := int(n)
	return i < x.components || slices.Contains(x.beyond, i)
}
