package sqlite

import (
	"context"
	"database/sql"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
	"steward/web/account"
)

// Accounts implements account.Store.
type Accounts struct{ db *DB }

// Accounts returns the account.Store of db.
func (db *DB) Accounts() Accounts { return Accounts{db} }

// Put implements account.Store.
func (s Accounts) Put(ctx context.Context, c account.Credential, row audit.Row) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if c.Kind == account.Token {
			if _, err := tx.Exec("account.replace_token", c.Owner, c.Name); err != nil {
				return err
			}
		}
		if err := putCredential(tx, c); err != nil {
			return err
		}
		return tx.Audit(row)
	})
}

// Get implements account.Store.
func (s Accounts) Get(ctx context.Context, kind account.Kind, h account.Hash) (account.Credential, error) {
	rows, err := s.db.Query(ctx, "account.get", string(kind), h[:])
	if err != nil {
		return account.Credential{}, err
	}
	found, err := collect(rows, scanCredential)
	if err == nil && len(found) == 0 {
		err = account.ErrCredential
	}
	if err != nil {
		return account.Credential{}, err
	}
	return found[0], nil
}

// Credentials implements account.People.
func (s Accounts) Credentials(
	ctx context.Context, kind account.Kind, owner string, limit int,
) ([]account.Credential, error) {
	rows, err := s.db.Query(ctx, "account.list", string(kind), owner, owner, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanCredential)
}

func scanCredential(rows *sql.Rows) (account.Credential, error) {
	var c account.Credential
	var hash []byte
	var created, seen int64
	var expires sql.NullInt64
	err := rows.Scan(&c.Kind, &hash, &c.Owner, &c.Name, &c.Role, &c.Scope, &c.Prefix, &c.Method,
		&c.Visit.Address, &c.Visit.Agent, &created, &seen, &expires)
	copy(c.Hash[:], hash)
	c.CreatedAt, c.SeenAt = time.UnixMicro(created).UTC(), time.UnixMicro(seen).UTC()
	c.ExpiresAt = optionalTime(expires)
	return c, err
}

// optionalTime returns the zero time for NULL.
func optionalTime(at sql.NullInt64) time.Time {
	if !at.Valid {
		return time.Time{}
	}
	return time.UnixMicro(at.Int64).UTC()
}

// Exchange implements account.Store.
func (s Accounts) Exchange(ctx context.Context, link account.Hash, session account.Credential, row audit.Row) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if err := endCredential(tx, account.Link, link); err != nil {
			return err
		}
		if err := putCredential(tx, session); err != nil {
			return err
		}
		return tx.Audit(row)
	})
}

// Touch implements account.Store.
func (s Accounts) Touch(ctx context.Context, kind account.Kind, h account.Hash, at time.Time) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec("account.touch", at.UnixMicro(), string(kind), h[:])
		return err
	})
}

// End implements account.Store.
func (s Accounts) End(ctx context.Context, kind account.Kind, h account.Hash, row audit.Row) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if err := endCredential(tx, kind, h); err != nil {
			return err
		}
		return tx.Audit(row)
	})
}

// Prune implements account.Store.
func (s Accounts) Prune(ctx context.Context, now time.Time) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec("account.prune", now.UnixMicro())
		return err
	})
}

func putCredential(tx *Tx, c account.Credential) error {
	expires := sql.NullInt64{Int64: c.ExpiresAt.UnixMicro(), Valid: !c.ExpiresAt.IsZero()}
	_, err := tx.Exec("account.put", string(c.Kind), c.Hash[:], c.Owner, c.Name, string(c.Role), string(c.Scope),
		c.Prefix, string(c.Method), c.Visit.Address, c.Visit.Agent, c.CreatedAt.UnixMicro(), c.SeenAt.UnixMicro(), expires)
	if err != nil || c.Kind != account.Session {
		return err
	}
	_, err = tx.Exec("person.signed_in", c.CreatedAt.UnixMicro(), c.Owner)
	return err
}

// endCredential deletes one credential, or returns ErrCredential.
func endCredential(tx *Tx, kind account.Kind, h account.Hash) error {
	res, err := tx.Exec("account.end", string(kind), h[:])
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 {
		return account.ErrCredential
	}
	return nil
}

// Approvers returns how many different people are signed in who have role, or
// that of administrators.
func (s Accounts) Approvers(ctx context.Context, role web.Role, now time.Time) (n int, err error) {
	err = s.db.QueryRow(ctx, "account.approvers", now.UnixMicro(), string(role)).Scan(&n)
	return n, err
}
