package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"steward/est"
)

// Succession implements est.OriginStore.
func (s Inventory) Succession(ctx context.Context, factory est.Hash) (by est.Succession, err error) {
	var at int64
	err = s.db.QueryRow(ctx, "succession.of", factory[:]).Scan(&by.New, &by.Old, &by.Proof, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return by, fmt.Errorf("%w: succession of %x", est.ErrUnknown, factory[:8])
	}
	if len(by.Proof) == 0 {
		by.Proof = nil
	}
	by.At = time.UnixMicro(at).UTC()
	return by, err
}

// putSuccession writes by which the factory certificate of a right that is renamed has
// taken the place of another.
func putSuccession(tx *Tx, ch est.Change) error {
	by := ch.Succession
	if by == nil {
		return nil
	}
	proof := by.Proof
	if proof == nil {
		proof = []byte{}
	}
	_, err := tx.Exec("succession.put", ch.Right.Factory[:], ch.Renamed[:], by.New, by.Old, proof, by.At.UnixMicro())
	return err
}
