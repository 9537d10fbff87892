package process

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"steward/suit"
)

// maxDependencyDepth is how deep dependencies nest.
const maxDependencyDepth = 8

// A link leads from a manifest to one of its dependencies.
type link struct {
	from *Package
	id   suit.ComponentID
}

// load reads the envelope that component i holds, which must be an authentic
// dependency on components of this device. Its sequence number is not compared:
// who signed the manifest above chose this very one.
func (m *machine) load(ctx context.Context, i int) (*Package, error) {
	d, ok := m.k.Manifest.Dependency(i)
	if !ok {
		return nil, fmt.Errorf("component %v is no dependency", m.id(i))
	}
	limit := uint64(m.p.o.Limits.Envelope) //nolint:gosec // not negative
	if limit == 0 {
		limit = suit.MaxEnvelope
	}
	raw, err := m.readAll(ctx, m.id(i), limit)
	if err != nil {
		return nil, err
	}
	child, signers, err := m.p.read(raw)
	if err != nil {
		return nil, err
	}
	child.prefix, child.records = m.k.prefix, m.k.records
	if d.Prefix != "" && d.Index < len(m.k.Manifest.Components) {
		child.prefix = d.Prefix
		if m.k.prefix != "" {
			child.prefix = m.k.prefix.Join(d.Prefix)
		}
	}
	return child, child.precheck(ctx, signers)
}

// integrity loads dependency i and compares the digest of its manifest with
// image-digest: countersigning a dependency does not change that one.
func (m *machine) integrity(ctx context.Context, i int) (*Package, error) {
	p, err := m.parameter(i, suit.ParameterImageDigest)
	if err != nil {
		return nil, err
	}
	child, err := m.load(ctx, i)
	if err != nil {
		return nil, err
	}
	m.measure(suit.ParameterImageDigest, child.Envelope.Digest)
	if !child.Envelope.Digest.Equal(p.Digest()) {
		return nil, fmt.Errorf("%w: dependency %v", ErrMismatch, m.id(i))
	}
	key := link{from: m.k, id: m.id(i)}
	if old := m.verified[key]; old != nil && old.Envelope.Digest.Equal(child.Envelope.Digest) {
		child = old // what it verified itself stays verified
	}
	m.verified[key] = child
	return child, nil
}

// dependencyIntegrity verifies a dependency (draft-ietf-suit-trust-domains §7.1).
func dependencyIntegrity(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	_, err := m.integrity(ctx, i)
	if inner, ok := errors.AsType[*Error](err); ok {
		return m.refuse(ReasonCondition, inner)
	}
	return err
}

// isDependency holds for components that are dependencies.
func isDependency(_ context.Context, m *machine, _ *suit.Command, i int) error {
	if _, ok := m.k.Manifest.Dependency(i); !ok {
		return fmt.Errorf("component %v is no dependency", m.id(i))
	}
	return nil
}

// processDependency runs the section of the same name of a dependency that was
// verified before.
func processDependency(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	child := m.verified[link{from: m.k, id: m.id(i)}]
	if child == nil {
		if !m.p.o.Interop.ImpliedIntegrity {
			return fmt.Errorf("%v before %v", suit.DirectiveProcessDependency, suit.ConditionDependencyIntegrity)
		}
		var err error
		if child, err = m.integrity(ctx, i); err != nil {
			return err
		}
	}
	return m.descend(ctx, child, i, m.section)
}

// descend runs a section of a dependency. Parameters are common to the whole
// tree. Its failure is final: no try-each above may go on.
func (m *machine) descend(ctx context.Context, child *Package, i int, section suit.Section) error {
	if len(m.path) >= maxDependencyDepth {
		return fmt.Errorf("dependencies nested deeper than %d", maxDependencyDepth)
	}
	outer := *m
	n := slices.IndexFunc(m.k.Manifest.Dependencies, func(d suit.Dependency) bool { return d.Index == i })
	m.k, m.path, m.walk = child, append(slices.Clone(m.path), i), append(slices.Clone(m.walk), n)
	err := m.run(ctx, section)
	m.k, m.path, m.walk = outer.k, outer.path, outer.walk
	m.section, m.selected, m.soft = outer.section, outer.selected, outer.soft
	if e, ok := errors.AsType[*Error](err); ok {
		final := *e
		final.final = true
		return &final
	}
	return err
}

// unlink drops one reference to a component. With the last one a dependency is
// uninstalled, and the component emptied (draft-ietf-suit-trust-domains §6.4).
func unlink(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	remover, ok := m.area.(Remover)
	if !ok {
		return fmt.Errorf("%w: this device empties no component", suit.ErrNotImplemented)
	}
	if m.references == nil {
		m.references = map[suit.ComponentID]int{}
		if err := m.count(ctx, m.root(), 0); err != nil {
			return err
		}
	}
	id := m.id(i)
	if m.references[id]--; m.references[id] > 0 {
		return nil
	}
	if _, dependency := m.k.Manifest.Dependency(i); dependency {
		child, err := m.load(ctx, i)
		switch {
		case errors.Is(err, ErrAbsent):
			return nil
		case err != nil:
			return err
		}
		if err := m.descend(ctx, child, i, suit.SectionUninstall); err != nil {
			return err
		}
	}
	m.wrote(id, true)
	return remover.Remove(ctx, id)
}

// root returns the manifest of the procedure.
func (m *machine) root() *Package { return m.k.records.root }

// count adds up how many manifests of the tree name each component. Each manifest
// is a step: a tree that refers to itself would grow beyond measure.
func (m *machine) count(ctx context.Context, k *Package, depth int) error {
	for _, id := range k.ids() {
		m.references[id]++
	}
	if depth >= maxDependencyDepth {
		return nil
	}
	outer := m.k
	defer func() { m.k = outer }()
	for _, d := range k.Manifest.Dependencies {
		if err := m.step(ctx); err != nil {
			return err
		}
		m.k = k
		child, err := m.load(ctx, d.Index)
		if err != nil {
			continue // not there, or not a manifest: it names nothing
		}
		if err := m.count(ctx, child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// manifestDigest returns the digest of the manifest that component i holds.
func (m *machine) manifestDigest(ctx context.Context, i int) (suit.Digest, error) {
	raw, err := m.readAll(ctx, m.id(i), suit.MaxEnvelope)
	if err != nil {
		return suit.Digest{}, err
	}
	e, err := suit.Decode(raw, m.p.o.Limits)
	if err != nil {
		return suit.Digest{}, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	if err := e.VerifyDigest(m.p.o.Digests...); err != nil {
		return suit.Digest{}, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	return e.Digest, nil
}
