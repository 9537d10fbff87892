package sqlite

import (
	"context"
	"errors"
	"time"

	"steward/est"
)

// Revoked implements est.Store. It reads an index alone.
func (s Inventory) Revoked(
	ctx context.Context, issuer est.Hash, notAfter time.Time, fn func(est.Revocation) error,
) (err error) {
	name, args := "certificate.revoked", []any{issuer[:], micros(notAfter)}
	if issuer == (est.Hash{}) {
		name, args = "certificate.revoked_all", args[1:]
	}
	rows, err := s.db.Query(ctx, name, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r est.Revocation
		var end, at int64
		if err := rows.Scan(hash(&r.Hash), hash(&r.Issuer), &r.Serial, &end, &at, &r.Reason); err != nil {
			return err
		}
		r.NotAfter, r.At = moment(end), moment(at)
		if err := fn(r); err != nil {
			return err
		}
	}
	return rows.Err()
}
