package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"steward/est"
)

// Keys implements est.KeyStore.
type Keys struct{ db *DB }

// Keys returns the est.KeyStore of db.
func (db *DB) Keys() Keys { return Keys{db} }

var _ est.KeyStore = Keys{}

// KeyGenerations implements est.KeyStore.
func (s Keys) KeyGenerations(ctx context.Context) ([]est.KeyGeneration, error) {
	rows, err := s.db.Query(ctx, "key.list")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (est.KeyGeneration, error) {
		var g est.KeyGeneration
		var made, changed int64
		err := r.Scan(&g.Purpose, &g.Number, &g.State, hash(&g.Certificate), &made, &changed)
		g.MadeAt, g.ChangedAt = moment(made), moment(changed)
		return g, err
	})
}

// CommitKeys implements est.KeyStore.
func (s Keys) CommitKeys(ctx context.Context, ch est.KeyChange) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		for _, g := range ch.Insert {
			conflict := fmt.Errorf("%w: key %s %d", est.ErrConflict, g.Purpose, g.Number)
			err := tx.one(conflict, "key.insert", g.Purpose, g.Number, string(g.State), g.Certificate[:], micros(g.MadeAt),
				micros(g.ChangedAt))
			if err != nil {
				return err
			}
		}
		for _, g := range ch.Step {
			conflict := fmt.Errorf("%w: key %s %d is not %s", est.ErrConflict, g.Purpose, g.Number, g.From)
			err := tx.one(conflict, "key.step", g.Purpose, g.Number, string(g.From), string(g.State), micros(g.ChangedAt))
			if err != nil {
				return err
			}
		}
		for _, row := range ch.Audit {
			if err := tx.Audit(row); err != nil {
				return err
			}
		}
		return nil
	})
}
