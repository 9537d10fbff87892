package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"steward/est"
)

var _ est.Errands = Inventory{}

// Errand implements est.Errands.
func (s Inventory) Errand(ctx context.Context, id string) (est.Errand, error) {
	o, err := scanErrand(s.db.QueryRow(ctx, "errand.by_id", id))
	if errors.Is(err, sql.ErrNoRows) {
		return est.Errand{}, fmt.Errorf("%w: errand %.32q", est.ErrUnknown, id)
	}
	return o, err
}

// Errands implements est.Errands.
func (s Inventory) Errands(ctx context.Context, q est.ErrandQuery) ([]est.Errand, error) {
	if q.Limit <= 0 || q.Limit > est.MaxPage {
		q.Limit = est.MaxPage
	}
	name := "errand.list"
	switch {
	case q.Client != est.Hash{}:
		name = "errand.by_client"
	case q.State != "":
		name = "errand.by_state"
	}
	rows, err := s.db.Query(ctx, name, q.Before, q.Limit, text(string(q.State)), blob(q.Client), blob(q.CSR), limit(q.Due))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (est.Errand, error) { return scanErrand(r) })
}

func putErrand(tx *Tx, o est.Errand) error {
	conflict := fmt.Errorf("%w: errand %s of %s", est.ErrConflict, o.ID, o.Name)
	answer := append([]byte{}, o.Answer...) // none is empty, not NULL
	if o.Version != 0 {
		return tx.one(conflict, "errand.update", o.ID, o.Version, string(o.State), answer, o.Tries, micros(o.NextAt),
			o.Reason, micros(o.ChangedAt))
	}
	return tx.one(conflict, "errand.insert", o.ID, string(o.State), o.Client[:], o.Name, o.Request, o.CSR[:], o.SPKI[:],
		answer, o.Tries, micros(o.NextAt), o.Reason, micros(o.CreatedAt), micros(o.ChangedAt))
}

func scanErrand(row interface{ Scan(dest ...any) error }) (est.Errand, error) {
	var o est.Errand
	var next, created, changed int64
	err := row.Scan(&o.ID, &o.State, hash(&o.Client), &o.Name, &o.Request, hash(&o.CSR), hash(&o.SPKI), &o.Answer,
		&o.Tries, &next, &o.Reason, &created, &changed, &o.Version)
	o.NextAt, o.CreatedAt, o.ChangedAt = moment(next), moment(created), moment(changed)
	if len(o.Answer) == 0 {
		o.Answer = nil
	}
	return o, err
}
