package sqlite

import (
	"context"
	"time"
)

// keptLong is for how long answers to partners and warnings are kept: longer than a
// hand-over takes, or a certificate of ours is warned of. ARCHITECTURE.md says of every
// table for how long its rows are kept.
const keptLong = 400 * 24 * time.Hour

// Forget removes what nobody needs any more of tables that nothing else prunes, a
// bounded number of rows at a time.
func (db *DB) Forget(ctx context.Context, now time.Time) error {
	before := now.Add(-keptLong).UnixMicro()
	return db.Update(ctx, func(tx *Tx) error {
		for _, name := range []string{"retention.answers", "retention.warnings"} {
			if _, err := tx.Exec(name, before, pruneBatch); err != nil {
				return err
			}
		}
		return nil
	})
}
