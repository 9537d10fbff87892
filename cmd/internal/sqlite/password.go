package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"steward/est"
)

var _ est.Passwords = Inventory{}

// Password implements est.Passwords.
func (s Inventory) Password(ctx context.Context, id string) (est.Password, error) {
	p, err := scanPassword(s.db.QueryRow(ctx, "password.by_id", id))
	if errors.Is(err, sql.ErrNoRows) {
		return est.Password{}, fmt.Errorf("%w: password %.32q", est.ErrUnknown, id)
	}
	return p, err
}

// Passwords implements est.Passwords.
func (s Inventory) Passwords(ctx context.Context, before string, limit int) ([]est.Password, error) {
	rows, err := s.db.Query(ctx, "password.list", before, max(limit, 0))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (est.Password, error) { return scanPassword(r) })
}

func putPassword(tx *Tx, p est.Password) error {
	conflict := fmt.Errorf("%w: password %s", est.ErrConflict, p.ID)
	if p.Version != 0 {
		return tx.one(conflict, "password.update", p.ID, p.Version, p.Left, string(p.State), micros(p.ChangedAt))
	}
	return tx.one(conflict, "password.insert", p.ID, p.Hash[:], p.Name, p.Total, p.Left, string(p.State),
		micros(p.ExpiresAt), micros(p.CreatedAt), p.CreatedBy, micros(p.ChangedAt))
}

// checkFirst makes sure that no operational certificate has the name; "" is nobody's.
func checkFirst(tx *Tx, name string) error {
	if name == "" {
		return nil
	}
	var had int
	if err := tx.QueryRow("certificate.had", name).Scan(&had); err != nil {
		return fmt.Errorf("certificate.had: %w", err)
	}
	if had > 0 {
		return fmt.Errorf("%w: %s had a certificate", est.ErrConflict, name)
	}
	return nil
}

// checkSole makes sure that nobody else holds the name now.
func checkSole(tx *Tx, name string) error {
	var holders, rights int
	if err := tx.QueryRow("certificate.holders", name).Scan(&holders); err != nil {
		return fmt.Errorf("certificate.holders: %w", err)
	}
	if err := tx.QueryRow("right.holders", name).Scan(&rights); err != nil {
		return fmt.Errorf("right.holders: %w", err)
	}
	switch {
	case rights > 0:
		return fmt.Errorf("%w: %s", est.ErrEndpoint, name)
	case holders > 1:
		return fmt.Errorf("%w: %d certificates of %s", est.ErrConflict, holders, name)
	}
	return nil
}

func scanPassword(row interface{ Scan(dest ...any) error }) (est.Password, error) {
	var p est.Password
	var expires, created, changed int64
	err := row.Scan(&p.ID, hash(&p.Hash), &p.Name, &p.Total, &p.Left, &p.State, &expires, &created, &p.CreatedBy,
		&changed, &p.Version)
	p.ExpiresAt, p.CreatedAt, p.ChangedAt = moment(expires), moment(created), moment(changed)
	return p, err
}
