package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"steward/lwm2m/audit"
	"steward/web/hook"
)

// Webhooks implements hook.Store. Their secrets are sealed.
type Webhooks struct {
	db   *DB
	seal Sealer
}

// Webhooks returns the hook.Store of db, sealed by seal.
func (db *DB) Webhooks(seal Sealer) Webhooks { return Webhooks{db, seal} }

// Hooks implements hook.Store.
func (s Webhooks) Hooks(ctx context.Context) (all []hook.Hook, err error) {
	rows, err := s.db.Query(ctx, "webhook.list")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		h, err := s.scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, h)
	}
	return all, rows.Err()
}

func (s Webhooks) scan(rows *sql.Rows) (h hook.Hook, err error) {
	var types string
	var sealed []byte
	var next, failing, last sql.NullInt64
	var created int64
	err = rows.Scan(&h.ID, &h.Name, &h.URL, &h.Mode, &types, &h.Subject, &sealed, &h.State, &h.Cursor, &h.Attempt, &next,
		&failing, &h.Status, &h.Words, &last, &created, &h.CreatedBy, &h.Version)
	if err != nil {
		return h, err
	}
	if types != "" {
		h.Types = strings.Fields(types)
	}
	h.NextAt, h.FailingSince, h.LastAt = optionalTime(next), optionalTime(failing), optionalTime(last)
	h.CreatedAt = time.UnixMicro(created).UTC()
	h.Secret, err = s.seal.Open(sealed, webhookPurpose(h.ID))
	return h, err
}

func nullTime(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

func webhookPurpose(id string) string { return "webhook/" + id }

// Put implements hook.Store.
func (s Webhooks) Put(ctx context.Context, h hook.Hook, row audit.Row, buried ...hook.Letter) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if err := s.put(tx, h); err != nil {
			return err
		}
		for _, l := range buried {
			_, err := tx.Exec("webhook.bury", l.Hook, int64(l.Event), //nolint:gosec // G115: counted up from zero
				l.At.UnixMicro(), l.Type, l.Subject, string(l.Data), string(l.State), l.Words, l.Tries)
			if err != nil {
				return err
			}
		}
		if len(buried) > 0 {
			if _, err := tx.Exec("webhook.forget", h.ID, hook.MaxLetters); err != nil {
				return err
			}
		}
		return auditIfAny(tx, row)
	})
}

func auditIfAny(tx *Tx, row audit.Row) error {
	if row.Action == "" {
		return nil
	}
	return tx.Audit(row)
}

func (s Webhooks) put(tx *Tx, h hook.Hook) error {
	sealed := s.seal.Seal(h.Secret, webhookPurpose(h.ID))
	same := []any{
		h.Name, h.URL, string(h.Mode), strings.Join(h.Types, " "), h.Subject, sealed, string(h.State),
		int64(h.Cursor), //nolint:gosec // G115: counted up from zero
		h.Attempt, nullTime(h.NextAt), nullTime(h.FailingSince), h.Status, h.Words, nullTime(h.LastAt),
	}
	if h.Version != 0 {
		return one(tx.Exec("webhook.update", append(same, h.ID, h.Version)...))
	}
	var n int
	if err := tx.QueryRow("webhook.count").Scan(&n); err != nil {
		return err
	}
	if n >= hook.MaxHooks {
		return hook.ErrFull
	}
	args := append([]any{h.ID}, same...)
	return one(tx.Exec("webhook.insert", append(args, h.CreatedAt.UnixMicro(), h.CreatedBy)...))
}

// one returns hook.ErrConflict unless a statement changed a row.
func one(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		err = hook.ErrConflict
	}
	return err
}

// Remove implements hook.Store.
func (s Webhooks) Remove(ctx context.Context, id string, row audit.Row) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if err := one(tx.Exec("webhook.remove", id)); err != nil {
			return missingHook(err)
		}
		return auditIfAny(tx, row)
	})
}

// missingHook is ErrNotFound in place of a conflict with nothing.
func missingHook(err error) error {
	if errors.Is(err, hook.ErrConflict) {
		return hook.ErrNotFound
	}
	return err
}

// Letters implements hook.Store.
func (s Webhooks) Letters(ctx context.Context, id string, state hook.LetterState, after uint64, limit int) (
	all []hook.Letter, err error,
) {
	rows, err := s.db.Query(ctx, "webhook.letters", id, int64(after), string(state), limit) //nolint:gosec // G115
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		l, err := scanLetter(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, rows.Err()
}

func scanLetter(scan func(...any) error) (l hook.Letter, err error) {
	var at int64
	var data string
	err = scan(&l.Hook, &l.Event, &at, &l.Type, &l.Subject, &data, &l.State, &l.Words, &l.Tries)
	l.At = time.UnixMicro(at).UTC()
	if data != "" {
		l.Data = json.RawMessage(data)
	}
	return l, err
}

// Letter implements hook.Store.
func (s Webhooks) Letter(ctx context.Context, id string, event uint64) (hook.Letter, error) {
	l, err := scanLetter(s.db.QueryRow(ctx, "webhook.letter", id, int64(event)).Scan) //nolint:gosec // G115: from zero up
	if errors.Is(err, sql.ErrNoRows) {
		return hook.Letter{}, hook.ErrNotFound
	}
	return l, err
}

// PutLetter implements hook.Store.
func (s Webhooks) PutLetter(ctx context.Context, l hook.Letter, row audit.Row) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		event := int64(l.Event) //nolint:gosec // G115: counted up from zero
		if err := one(tx.Exec("webhook.mark", string(l.State), l.Words, l.Tries, l.Hook, event)); err != nil {
			return missingHook(err)
		}
		return auditIfAny(tx, row)
	})
}
