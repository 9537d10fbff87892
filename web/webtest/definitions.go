package webtest

import (
	"context"

	"steward/web"
)

// ObjectDefinitions implements web.Definitions.
func (f *Fake) ObjectDefinitions(context.Context) ([]web.ObjectDefinition, error) {
	if f.Empty {
		return nil, nil
	}
	return []web.ObjectDefinition{{
		Object: 32001, Version: "1.0", Name: f.Text, URN: f.Text, Resources: 3, AddedAt: Noon, AddedBy: f.Text,
	}}, nil
}

// AddObjectDefinitions implements web.Definitions.
func (f *Fake) AddObjectDefinitions(ctx context.Context, by web.Actor, d []byte) ([]web.ObjectDefinition, error) {
	if err := f.note("AddObjectDefinitions", by, "", d); err != nil {
		return nil, err
	}
	return f.ObjectDefinitions(ctx)
}

// RemoveObjectDefinition implements web.Definitions.
func (f *Fake) RemoveObjectDefinition(_ context.Context, by web.Actor, object uint16, version string) error {
	return f.note("RemoveObjectDefinition", by, "", [2]any{object, version})
}
