package web

import (
	"context"
	"time"
)

// Definitions adds objects to those that the program knows. Objects that nobody
// defined stay readable.
type Definitions interface {
	// ObjectDefinitions returns what people added, in order of objects and versions.
	ObjectDefinitions(ctx context.Context) ([]ObjectDefinition, error)
	// AddObjectDefinitions reads a document of OMA's DDF (XML) and knows its objects
	// from now on. It returns ErrInvalid for another document, and ErrConflict for an
	// object that contradicts one that the program was made with.
	AddObjectDefinitions(ctx context.Context, by Actor, document []byte) ([]ObjectDefinition, error)
	// RemoveObjectDefinition forgets one version of an object.
	RemoveObjectDefinition(ctx context.Context, by Actor, object uint16, version string) error
}

// An ObjectDefinition is one version of an object that somebody added.
type ObjectDefinition struct {
	Object    uint16    `json:"object"`
	Version   string    `json:"version"`
	Name      string    `json:"name"`
	URN       string    `json:"urn"`
	Resources int       `json:"resources"`
	AddedAt   time.Time `json:"added_at"`
	AddedBy   string    `json:"added_by"`
}

func (missing) ObjectDefinitions(context.Context) ([]ObjectDefinition, error) {
	return nil, ErrNotBuilt
}

func (missing) AddObjectDefinitions(context.Context, Actor, []byte) ([]ObjectDefinition, error) {
	return nil, ErrNotBuilt
}

func (missing) RemoveObjectDefinition(context.Context, Actor, uint16, string) error {
	return ErrNotBuilt
}
