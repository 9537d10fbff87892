package sqlite

import (
	"context"
	"database/sql"

	"steward/lwm2m/audit"
	"steward/web/account"
)

// Person implements account.People.
func (s Accounts) Person(ctx context.Context, name string) (account.Person, error) {
	return s.person(ctx, "person.get", name)
}

// PersonOf implements account.People.
func (s Accounts) PersonOf(ctx context.Context, subject string) (account.Person, error) {
	return s.person(ctx, "person.of", subject)
}

// PersonByHandle implements account.People.
func (s Accounts) PersonByHandle(ctx context.Context, handle []byte) (account.Person, error) {
	return s.person(ctx, "person.by_handle", handle)
}

func (s Accounts) person(ctx context.Context, query string, arg any) (account.Person, error) {
	rows, err := s.db.Query(ctx, query, arg)
	if err != nil {
		return account.Person{}, err
	}
	found, err := collect(rows, scanPerson)
	if err == nil && len(found) == 0 {
		err = account.ErrUnknown
	}
	if err != nil {
		return account.Person{}, err
	}
	return found[0], nil
}

// ListPeople implements account.People.
func (s Accounts) ListPeople(ctx context.Context, after string, limit int) ([]account.Person, error) {
	rows, err := s.db.Query(ctx, "person.list", after, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanPerson)
}

func scanPerson(rows *sql.Rows) (account.Person, error) {
	var p account.Person
	var subject sql.NullString
	var created int64
	var signedIn sql.NullInt64
	err := rows.Scan(&p.Name, &p.Display, &p.Role, &p.Scope, &p.State, &p.Password, &p.Renew, &subject, &p.Handle,
		&created, &signedIn, &p.Version)
	p.Subject, p.SignedInAt = subject.String, optionalTime(signedIn)
	p.CreatedAt = optionalTime(sql.NullInt64{Int64: created, Valid: true})
	return p, err
}

// ChangePerson implements account.People.
func (s Accounts) ChangePerson(ctx context.Context, c account.Change) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if err := putPerson(tx, c.Person); err != nil {
			return err
		}
		if err := endOf(tx, c); err != nil {
			return err
		}
		if c.Add != nil {
			if err := putCredential(tx, *c.Add); err != nil {
				return err
			}
		}
		return tx.Audit(c.Audit)
	})
}

// putPerson stores p if its version is the present one.
func putPerson(tx *Tx, p account.Person) error {
	subject := sql.NullString{String: p.Subject, Valid: p.Subject != ""}
	var admins int
	if err := tx.QueryRow("person.admins").Scan(&admins); err != nil {
		return err
	}
	name, args := "person.change", []any{
		p.Display, string(p.Role), string(p.Scope), string(p.State), p.Password, p.Renew, subject, p.Name, p.Version,
	}
	if p.Version == 0 {
		name, args = "person.add", []any{
			p.Name, p.Display, string(p.Role), string(p.Scope), string(p.State), p.Password, p.Renew, subject, p.Handle,
			p.CreatedAt.UnixMicro(),
		}
	}
	res, err := tx.Exec(name, args...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return orElse(err, account.ErrConflict)
	}
	if admins == 0 {
		return nil // there was none, so this takes none away
	}
	if err := tx.QueryRow("person.admins").Scan(&admins); err != nil || admins == 0 {
		return orElse(err, account.ErrLastAdmin)
	}
	return nil
}

// orElse returns err, or other if that is nil.
func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// endOf deletes what a change of a person ends.
func endOf(tx *Tx, c account.Change) error {
	for _, row := range []struct {
		on    bool
		query string
		args  []any
	}{
		{c.End, "account.end_of", []any{c.Person.Name, string(account.Link)}},
		{c.End, "account.end_of", []any{c.Person.Name, string(account.Session)}},
		{c.EndTokens, "account.end_of", []any{c.Person.Name, string(account.Token)}},
		{c.EndPasskeys, "passkey.end_of", []any{c.Person.Name}},
	} {
		if !row.on {
			continue
		}
		if _, err := tx.Exec(row.query, row.args...); err != nil {
			return err
		}
	}
	return nil
}

// PutPasskey implements account.Passkeys.
func (s Accounts) PutPasskey(ctx context.Context, k account.Passkey, row audit.Row) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		res, err := tx.Exec("passkey.put", k.ID, k.Owner, k.Name, string(k.Record), k.CreatedAt.UnixMicro())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return orElse(err, account.ErrConflict)
		}
		return tx.Audit(row)
	})
}

// UsePasskey implements account.Passkeys.
func (s Accounts) UsePasskey(ctx context.Context, k account.Passkey) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec("passkey.use", string(k.Record), k.UsedAt.UnixMicro(), k.ID, k.Owner)
		return err
	})
}

// Passkeys implements account.Passkeys.
func (s Accounts) Passkeys(ctx context.Context, owner string) ([]account.Passkey, error) {
	rows, err := s.db.Query(ctx, "passkey.list", owner)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (account.Passkey, error) {
		var k account.Passkey
		var created int64
		var used sql.NullInt64
		err := rows.Scan(&k.ID, &k.Owner, &k.Name, &k.Record, &created, &used)
		k.CreatedAt, k.UsedAt = optionalTime(sql.NullInt64{Int64: created, Valid: true}), optionalTime(used)
		return k, err
	})
}

// RemovePasskey implements account.Passkeys.
func (s Accounts) RemovePasskey(ctx context.Context, owner string, id []byte, row audit.Row) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		res, err := tx.Exec("passkey.remove", owner, id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return orElse(err, account.ErrUnknown)
		}
		return tx.Audit(row)
	})
}
