package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/lwm2m/audit"
)

// An AuditBase is where the chain of rows in the database begins: after the row with
// that id and hash, which stands with those before it in files. Zero is the beginning.
type AuditBase struct {
	ID   int64
	Hash [32]byte
}

// baseSetting is the name of the base among the settings: id, big-endian, and hash.
const baseSetting = "audit.base"

const idLength = 8

// AuditBase returns where the chain begins.
func (db *DB) AuditBase(ctx context.Context) (b AuditBase, err error) {
	var raw []byte
	switch err := db.QueryRow(ctx, "setting.get", baseSetting).Scan(&raw); {
	case errors.Is(err, sql.ErrNoRows):
		return b, nil
	case err != nil:
		return b, err
	case len(raw) != idLength+len(b.Hash):
		return b, fmt.Errorf("%w: the setting %s has %d bytes", audit.ErrChain, baseSetting, len(raw))
	}
	copy(b.Hash[:], raw[idLength:])
	b.ID = int64(binary.BigEndian.Uint64(raw)) //nolint:gosec // G115: as it was written
	return b, nil
}

// vouched reports whether a row after b tells that those up to b are in a file: without
// one, who takes rows off the beginning would only have to say that they were archived.
func (db *DB) vouched(ctx context.Context, b AuditBase) (bool, error) {
	if b == (AuditBase{}) {
		return true, nil
	}
	rows, err := db.Query(ctx, "audit.archives", b.ID)
	if err != nil {
		return false, err
	}
	told, err := collect(rows, func(r *sql.Rows) (tells bool, err error) {
		var file, head string
		var first, last int64
		if err := r.Scan(&file, &head); err != nil {
			return false, err
		}
		_, err = fmt.Sscanf(file, "audit-%d-%d.ndjson", &first, &last)
		within := err == nil && first <= b.ID && b.ID < last // a crash came while they were removed
		return within || b.ID == last && head == hex.EncodeToString(b.Hash[:]), nil
	})
	return slices.Contains(told, true), err
}

// AuditOlder returns the id of the last of the rows, from the beginning of the chain up
// to most, that are all older than before; 0 if there is none. The newest row is never
// among them: the next one must follow from it.
func (db *DB) AuditOlder(ctx context.Context, before time.Time, most int64) (last int64, err error) {
	err = db.QueryRow(ctx, "audit.older", before.UnixMicro(), most+1).Scan(&last)
	return max(last, 0), err
}

// DropAudit removes the rows up to the id last, which stand in files, a batch at a
// time. The chain is whole after each, and begins where the batch ended.
func (db *DB) DropAudit(ctx context.Context, last int64) error {
	for more := true; more; {
		err := db.Update(ctx, func(tx *Tx) error {
			var b AuditBase
			var hash []byte
			switch err := tx.QueryRow("audit.batch", last, pruneBatch).Scan(&b.ID, &hash); {
			case errors.Is(err, sql.ErrNoRows):
				more = false
				return nil
			case err != nil:
				return err
			}
			raw := append(binary.BigEndian.AppendUint64(nil, uint64(b.ID)), hash...) //nolint:gosec // G115: positive
			if _, err := tx.Exec("setting.put", baseSetting, raw); err != nil {
				return err
			}
			_, err := tx.Exec("audit.drop", b.ID)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
