package services

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"steward/cmd/internal/sqlite"
	"steward/objects/ddf"
	"steward/objects/registry"
	"steward/web"
)

// definitions implements web.Definitions.
type definitions struct{ *base }

// ObjectDefinitions implements web.Definitions.
func (s *definitions) ObjectDefinitions(ctx context.Context) ([]web.ObjectDefinition, error) {
	all, err := s.DB.Definitions().All(ctx)
	if err != nil {
		return nil, translate(err)
	}
	out := make([]web.ObjectDefinition, 0, len(all))
	for _, d := range all {
		o, _ := s.Registry.Versioned(d.Object, d.Version)
		out = append(out, showDefinition(d, o))
	}
	return out, nil
}

func showDefinition(d sqlite.Definition, o registry.Object) web.ObjectDefinition {
	return web.ObjectDefinition{
		Object: d.Object, Version: d.Version, Name: o.Name, URN: o.URN, Resources: len(o.Resources), AddedAt: d.AddedAt,
		AddedBy: d.AddedBy,
	}
}

// AddObjectDefinitions implements web.Definitions.
func (s *definitions) AddObjectDefinitions(ctx context.Context, by web.Actor, document []byte) (
	[]web.ObjectDefinition, error,
) {
	objects, err := ddf.Parse(document)
	if errors.Is(err, ddf.ErrLimit) {
		return nil, &web.Error{Is: web.ErrTooLarge, Detail: printable(err.Error())}
	}
	if err != nil {
		return nil, web.Invalid("document", printable(err.Error()))
	}
	known, now := s.Registry.Made(), s.Now()
	stored := make([]sqlite.Definition, 0, len(objects))
	out := make([]web.ObjectDefinition, 0, len(objects))
	for _, o := range objects {
		if err := contradicts(known, o); err != nil {
			return nil, err
		}
		d := sqlite.Definition{Object: o.ID, Version: o.Version, Document: document, AddedAt: now, AddedBy: by.String()}
		stored = append(stored, d)
		out = append(out, showDefinition(d, o))
	}
	s.defining.Lock()
	defer s.defining.Unlock()
	if err := s.DB.Definitions().Put(ctx, stored); errors.Is(err, sqlite.ErrDefinitions) {
		return nil, conflict(err.Error())
	} else if err != nil {
		return nil, translate(err)
	}
	return out, translate(LoadDefinitions(context.WithoutCancel(ctx), s.DB, s.Registry))
}

// contradicts returns an ErrConflict if a definition says of a resource something
// else than those that the program was made with: what holds keys would be
// readable, and what is decoded today would be something else tomorrow.
func contradicts(known *registry.Registry, o registry.Object) error {
	const oscore = 21
	if o.ID == 0 || o.ID == oscore {
		return conflict("objects that hold keys are not defined anew")
	}
	if _, ok := known.Versioned(o.ID, o.Version); ok {
		return conflict(fmt.Sprintf("object %d %s is known already", o.ID, o.Version))
	}
	for _, r := range o.Resources {
		before, ok := known.Resource(o.ID, r.ID)
		if ok && (before.Kind != r.Kind || before.Operations != r.Operations || before.Multiple != r.Multiple) {
			return conflict(fmt.Sprintf("resource %d of object %d is known with another type or other operations", r.ID, o.ID))
		}
	}
	return nil
}

// RemoveObjectDefinition implements web.Definitions.
func (s *definitions) RemoveObjectDefinition(ctx context.Context, by web.Actor, object uint16, version string) error {
	s.defining.Lock()
	defer s.defining.Unlock()
	err := s.DB.Definitions().Remove(ctx, object, version, by.String())
	if errors.Is(err, sqlite.ErrNoDefinition) {
		return notFound("definition of object", fmt.Sprintf("%d %s", object, version))
	}
	if err != nil {
		return translate(err)
	}
	return translate(LoadDefinitions(context.WithoutCancel(ctx), s.DB, s.Registry))
}

// LoadDefinitions has r know the objects that people defined, beside its own.
func LoadDefinitions(ctx context.Context, db *sqlite.DB, r *registry.Registry) error {
	all, err := db.Definitions().All(ctx)
	if err != nil {
		return err
	}
	known := r.Made()
	var custom []registry.Object
	for _, d := range all {
		objects, err := ddf.Parse(d.Document)
		if err != nil {
			return fmt.Errorf("definition of object %d: %w", d.Object, err)
		}
		i := slices.IndexFunc(objects, func(o registry.Object) bool { return o.ID == d.Object && o.Version == d.Version })
		if i >= 0 && contradicts(known, objects[i]) == nil { // a newer program may know it itself
			custom = append(custom, objects[i])
		}
	}
	r.Extend(custom...)
	return nil
}
