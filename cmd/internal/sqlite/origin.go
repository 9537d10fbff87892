package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"steward/est"
)

var _ est.OriginStore = Inventory{}

// KeyOrigin implements est.OriginStore.
func (s Inventory) KeyOrigin(ctx context.Context, factory est.Hash) (o est.KeyOrigin, err error) {
	err = s.db.QueryRow(ctx, "origin.by_factory", factory[:]).Scan(&o)
	if errors.Is(err, sql.ErrNoRows) {
		return o, fmt.Errorf("%w: origin of %x", est.ErrUnknown, factory[:8])
	}
	return o, err
}

// putOrigin writes what a change tells of a factory certificate, which is the only
// one of its name.
func putOrigin(tx *Tx, ch est.Change) error {
	if o := ch.Origin; o != nil {
		if _, err := tx.Exec("origin.put", o.Factory[:], string(o.Origin)); err != nil {
			return err
		}
	}
	if ch.SoleFactory == "" {
		return nil
	}
	var n int
	if err := tx.QueryRow("certificate.factories", ch.SoleFactory).Scan(&n); err != nil {
		return fmt.Errorf("certificate.factories: %w", err)
	}
	if n > 1 {
		return fmt.Errorf("%w: %d factory certificates of %s", est.ErrConflict, n, ch.SoleFactory)
	}
	return nil
}
