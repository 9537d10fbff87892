package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/fleet"
)

// A Retirement is how a device that was retired has been erased.
type Retirement struct {
	At     time.Time
	Said   string // what came of it, in words
	Level  string // known, inferred, not
	Record []byte // transfer.RetirementRecord; empty: the device has signed nothing
}

// PutRetirement keeps how a device has been erased, in place of an earlier time.
func (s Devices) PutRetirement(ctx context.Context, id fleet.ID, r Retirement) error {
	if r.Record == nil {
		r.Record = []byte{}
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec("retirement.put", string(id), r.At.UnixMicro(), r.Said, r.Level, r.Record)
		return err
	})
}

// Retirement returns how a device has been erased, or fleet.ErrUnknown.
func (v View) Retirement(ctx context.Context, id fleet.ID) (r Retirement, err error) {
	var at int64
	err = v.db.QueryRow(ctx, "retirement.of", string(id)).Scan(&at, &r.Said, &r.Level, &r.Record)
	if errors.Is(err, sql.ErrNoRows) {
		return r, fmt.Errorf("%w: %s was not erased", fleet.ErrUnknown, id)
	}
	r.At = time.UnixMicro(at).UTC()
	return r, err
}
