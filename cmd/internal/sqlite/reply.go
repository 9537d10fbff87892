package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"steward/web/once"
)

// Replies implements once.Store. What was answered is sealed.
type Replies struct {
	db   *DB
	seal Sealer
}

// Replies returns the once.Store of db, sealed by seal.
func (db *DB) Replies(seal Sealer) Replies { return Replies{db, seal} }

// marking returns run with a note that something was changed for the key, in the
// same transaction.
func marking(key once.Key, run func(*Tx) error) func(*Tx) error {
	return func(tx *Tx) error {
		if err := run(tx); err != nil {
			return err
		}
		_, err := tx.Exec("reply.apply", key[:])
		return err
	}
}

// Begin implements once.Store.
func (s Replies) Begin(ctx context.Context, r once.Reply) (there once.Reply, begun bool, err error) {
	err = s.db.Update(ctx, func(tx *Tx) error {
		begun = false
		there, err = s.scan(tx.QueryRow("reply.get", r.Key[:]))
		if err != nil && !errors.Is(err, once.ErrGone) {
			return err
		}
		if err == nil && (there.State != once.Running || there.Run == r.Run) {
			return nil
		}
		var n int
		if err := tx.QueryRow("reply.count", r.Caller).Scan(&n); err != nil {
			return err
		}
		if n >= once.MaxReplies && err != nil {
			return once.ErrFull
		}
		there, begun = r, true
		return s.put(tx, r)
	})
	return there, begun, err
}

// Finish implements once.Store.
func (s Replies) Finish(ctx context.Context, r once.Reply) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		there, err := s.scan(tx.QueryRow("reply.get", r.Key[:]))
		if err != nil {
			return err
		}
		if there.State == once.Running && r.Status/100 != 2 {
			_, err := tx.Exec("reply.free", r.Key[:])
			return err
		}
		return s.put(tx, r)
	})
}

// Prune implements once.Store.
func (s Replies) Prune(ctx context.Context, before time.Time) error {
	_, err := s.db.remove(ctx, -1, "reply.prune", before.UnixMicro())
	return err
}

func (s Replies) put(tx *Tx, r once.Reply) error {
	header, err := json.Marshal(r.Header)
	if err != nil {
		return err
	}
	sealed := []byte{}
	if len(r.Body) > 0 {
		sealed = s.seal.Seal(r.Body, replyPurpose(r.Key))
	}
	_, err = tx.Exec("reply.put", r.Key[:], r.Caller, r.Request[:], r.Run, string(r.State), r.Status, string(header),
		sealed, r.At.UnixMicro())
	return err
}

func (s Replies) scan(row *sql.Row) (r once.Reply, err error) {
	var key, request, sealed []byte
	var header string
	var at int64
	err = row.Scan(&key, &r.Caller, &request, &r.Run, &r.State, &r.Status, &header, &sealed, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return once.Reply{}, once.ErrGone
	}
	if err != nil {
		return once.Reply{}, err
	}
	copy(r.Key[:], key)
	copy(r.Request[:], request)
	r.At = time.UnixMicro(at).UTC()
	if len(sealed) > 0 {
		if r.Body, err = s.seal.Open(sealed, replyPurpose(r.Key)); err != nil {
			return once.Reply{}, err
		}
	}
	return r, json.Unmarshal([]byte(header), &r.Header)
}

func replyPurpose(k once.Key) string { return "reply/" + hex.EncodeToString(k[:]) }
