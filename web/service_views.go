package web

import (
	"context"
	"time"
)

// Views keeps filters of lists with the columns that somebody wants to see: each
// person's own, and those for everybody.
type Views interface {
	// Views returns those of the person and the shared ones, in order of names.
	Views(ctx context.Context, of Actor) ([]SavedView, error)
	// PutView stores v in place of that with the same name, of the same person or
	// shared. It returns ErrForbidden where somebody who may not shares one.
	PutView(ctx context.Context, by Actor, v SavedView) (SavedView, error)
	// RemoveView deletes one's own, or a shared one. That of another is not found.
	RemoveView(ctx context.Context, by Actor, id string) error
}

// RoleShareViews may store and remove views that everybody sees.
const RoleShareViews = RoleOperator

// A SavedView is the query of the address of the inventory, with a name.
type SavedView struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Query     string    `json:"query"`  // filter and columns
	Shared    bool      `json:"shared"` // everybody sees it
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
}

func (missing) Views(context.Context, Actor) ([]SavedView, error) { return nil, ErrNotBuilt }

func (missing) PutView(context.Context, Actor, SavedView) (SavedView, error) {
	return SavedView{}, ErrNotBuilt
}

func (missing) RemoveView(context.Context, Actor, string) error { return ErrNotBuilt }
