package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"steward/est"
)

var _ est.RequestStore = Inventory{}

// SealedKey implements est.RequestStore.
func (s Inventory) SealedKey(ctx context.Context, client, csr est.Hash) (est.SealedKey, error) {
	var k est.SealedKey
	var until int64
	err := s.db.QueryRow(ctx, "sealed_key.by_request", client[:], csr[:]).Scan(hash(&k.Client), hash(&k.CSR),
		hash(&k.Certificate), &k.Sealed, &until)
	if errors.Is(err, sql.ErrNoRows) {
		return k, fmt.Errorf("%w: no key for request %x", est.ErrUnknown, csr[:8])
	}
	k.Until = moment(until)
	return k, err
}

// ForgetKeys implements est.RequestStore.
func (s Inventory) ForgetKeys(ctx context.Context, now time.Time) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec("sealed_key.forget", now.UnixMicro())
		return err
	})
}

// Approval implements est.RequestStore.
func (s Inventory) Approval(ctx context.Context, client est.Hash) (est.Approval, error) {
	a, err := scanApproval(s.db.QueryRow(ctx, "approval.by_client", client[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return a, fmt.Errorf("%w: no request of %x", est.ErrUnknown, client[:8])
	}
	return a, err
}

// Approvals implements est.RequestStore.
func (s Inventory) Approvals(ctx context.Context, state est.ApprovalState, after est.Hash, limit int) (
	[]est.Approval, error,
) {
	name, args := "approval.list", []any{after[:], max(limit, 0)}
	if state != "" {
		name, args = "approval.by_state", append([]any{string(state)}, args...)
	}
	rows, err := s.db.Query(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (est.Approval, error) { return scanApproval(r) })
}

// putRequests writes what ch says of requests.
func putRequests(tx *Tx, ch est.Change) error {
	if k := ch.Key; k != nil {
		_, err := tx.Exec("sealed_key.put", k.Client[:], k.CSR[:], k.Certificate[:], k.Sealed, micros(k.Until))
		if err != nil {
			return err
		}
	}
	a := ch.Approval
	if a == nil {
		return nil
	}
	args := []any{
		a.Client[:], a.CSR[:], blob(a.SPKI), a.Endpoint, a.Profile, string(a.State), micros(a.AskedAt), micros(a.DecidedAt),
		a.By, a.Why,
	}
	name := "approval.insert"
	if a.Version != 0 {
		name, args = "approval.update", append([]any{a.Client[:], a.Version}, args[1:]...)
	}
	return tx.one(fmt.Errorf("%w: request of %s", est.ErrConflict, a.Endpoint), name, args...)
}

func scanApproval(row interface{ Scan(dest ...any) error }) (est.Approval, error) {
	var a est.Approval
	var asked, decided int64
	err := row.Scan(hash(&a.Client), hash(&a.CSR), hash(&a.SPKI), &a.Endpoint, &a.Profile, &a.State, &asked, &decided,
		&a.By, &a.Why, &a.Version)
	a.AskedAt, a.DecidedAt = moment(asked), moment(decided)
	return a, err
}
