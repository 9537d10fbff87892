package services

import (
	"context"
	"errors"

	"steward/web"
	"steward/web/account"
)

// may reports whether who asked has the rights yet that they asked with: a bulk action
// may wait for days, and last. A token that belongs to nobody answers for itself.
func (b *Bulk) may(ctx context.Context, by web.Actor) (bool, error) {
	if !by.Person() {
		return true, nil
	}
	p, err := b.o.DB.Accounts().Person(ctx, by.Name)
	if errors.Is(err, account.ErrUnknown) { // people are disabled, never deleted: it was none of ours
		return true, nil
	}
	return p.State == account.Active && p.Role.Covers(by.Role) && p.Scope.Covers(by.Scope), err
}
