package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"steward/est"
	"steward/lwm2m/fleet"
)

// Inventory implements est.Store.
type Inventory struct{ db *DB }

// Inventory returns the est.Store of db.
func (db *DB) Inventory() Inventory { return Inventory{db} }

var _ est.Store = Inventory{}

// Certificate implements est.Store.
func (s Inventory) Certificate(ctx context.Context, hash est.Hash) (est.Record, error) {
	changes := s.db.standings.changes.Load()
	r, err := scanCertificate(s.db.rowByKey(ctx, "certificate.by_hash", hash[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return est.Record{}, fmt.Errorf("%w: certificate %x", est.ErrUnknown, hash[:8])
	}
	if err == nil {
		s.db.standings.keep(r, changes)
	}
	return r, err
}

// Certificates implements est.Store.
func (s Inventory) Certificates(ctx context.Context, q est.Query) ([]est.Record, error) {
	before := int64(math.MaxInt64)
	if q.Before != (est.Hash{}) {
		err := s.db.QueryRow(ctx, "certificate.position", q.Before[:]).Scan(&before)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
	if q.Limit <= 0 || q.Limit > est.MaxPage {
		q.Limit = est.MaxPage
	}
	name, more := certificateQuery(q), []any{}
	if q.Reason != "" {
		name, more = "certificate.by_reason", []any{string(q.Reason)}
	}
	rows, err := s.db.Query(ctx, name, append([]any{
		before, q.Limit, text(string(q.Kind)), text(string(q.Status)),
		text(q.Name), text(q.Serial), blob(q.Issuer), blob(q.Factory), blob(q.SPKI), blob(q.Client), blob(q.CSR),
		limit(q.Expires), limit(q.Replaced),
	}, more...)...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (est.Record, error) { return scanCertificate(r) })
}

// certificateQuery returns the query whose index selects the fewest rows for q.
func certificateQuery(q est.Query) string {
	none := est.Hash{}
	switch {
	case q.Factory != none:
		return "certificate.by_factory"
	case q.Serial != "":
		return "certificate.by_serial"
	case q.Name != "":
		return "certificate.by_name"
	case q.SPKI != none:
		return "certificate.by_spki"
	case !q.Replaced.IsZero() && q.Status == est.StatusValid:
		return "certificate.by_replaced"
	case q.Kind != "" && q.Status != "":
		return "certificate.by_kind"
	}
	return "certificate.list"
}

// Right implements est.Store.
func (s Inventory) Right(ctx context.Context, factory est.Hash) (est.Right, error) {
	r, err := scanRight(s.db.rowByKey(ctx, "right.by_factory", factory[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return est.Right{}, fmt.Errorf("%w: right %x", est.ErrUnknown, factory[:8])
	}
	return r, err
}

// Rights implements est.Store.
func (s Inventory) Rights(ctx context.Context, endpoint string, after est.Hash, limit int) ([]est.Right, error) {
	name, args := "right.list", []any{after[:], max(limit, 0)}
	if endpoint != "" {
		name, args = "right.by_endpoint", append([]any{endpoint}, args...)
	}
	rows, err := s.db.Query(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (est.Right, error) { return scanRight(r) })
}

// Commit implements est.Store.
func (s Inventory) Commit(ctx context.Context, ch est.Change) error {
	var renamed fleet.ID
	err := s.db.UpdateRepeatable(ctx, func(tx *Tx) (err error) {
		if renamed, err = renameFactory(tx, ch); err != nil {
			return err
		}
		return commitChange(tx, ch)
	})
	s.db.standings.changed(ch.Update) // whether it is known to have worked or not
	if renamed != "" {
		s.db.deviceChanged(renamed)
	}
	return err
}

// commitChange writes ch within tx.
func commitChange(tx *Tx, ch est.Change) error {
	if ch.Right != nil {
		if err := putRight(tx, *ch.Right); err != nil {
			return err
		}
	}
	if err := each(tx, ch.Update, updateCertificate); err != nil {
		return err
	}
	if err := checkFirst(tx, ch.First); err != nil {
		return err
	}
	if err := each(tx, ch.Insert, insertCertificate); err != nil {
		return err
	}
	if err := putRequests(tx, ch); err != nil {
		return err
	}
	if ch.Password != nil {
		if err := putPassword(tx, *ch.Password); err != nil {
			return err
		}
	}
	if err := each(tx, ch.Errands, putErrand); err != nil {
		return err
	}
	if err := putOrigin(tx, ch); err != nil {
		return err
	}
	if ch.Sole != "" {
		if err := checkSole(tx, ch.Sole); err != nil {
			return err
		}
	}
	return each(tx, ch.Audit, (*Tx).Audit)
}

// each writes all rows, or stops at the first error.
func each[T any](tx *Tx, rows []T, write func(*Tx, T) error) error {
	for _, r := range rows {
		if err := write(tx, r); err != nil {
			return err
		}
	}
	return nil
}

func putRight(tx *Tx, r est.Right) error {
	state := []any{
		string(r.State), r.Epoch, blob(r.SPKI), blob(r.Issued), micros(r.From), micros(r.Until), micros(r.ChangedAt),
	}
	name, args := "right.insert", append([]any{r.Factory[:], append([]byte{}, r.FactoryDER...), r.Endpoint}, state...)
	if r.Version != 0 {
		name, args = "right.update", append([]any{r.Factory[:], r.Version}, state...)
	}
	err := tx.one(est.ErrConflict, name, args...)
	if errors.Is(err, est.ErrConflict) {
		return fmt.Errorf("%w: right of %s", err, r.Endpoint)
	}
	if failure, ok := errors.AsType[*sqlite.Error](err); ok && failure.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
		return fmt.Errorf("%w: %s", est.ErrEndpoint, r.Endpoint) // enrolment_right_holder
	}
	return err
}

func insertCertificate(tx *Tx, r est.Record) error {
	err := tx.one(est.ErrConflict, "certificate.insert",
		r.Hash[:], blob(r.Issuer), r.Serial, r.SPKI[:], string(r.Kind), r.Profile, r.Name, blob(r.Factory),
		micros(r.NotBefore), micros(r.NotAfter), micros(r.IssuedAt), blob(r.Client), blob(r.CSR), blob(r.Supersedes), r.DER,
		r.Version, string(r.Status), string(r.Reason), r.Why, micros(r.RevokedAt), micros(r.UsedAt), blob(r.ReplacedBy),
		micros(r.ReplacedAt))
	if errors.Is(err, est.ErrConflict) {
		return fmt.Errorf("%w: certificate %x exists", err, r.Hash[:8])
	}
	return err
}

func updateCertificate(tx *Tx, r est.Record) error {
	conflict := fmt.Errorf("%w: certificate %x", est.ErrConflict, r.Hash[:8])
	err := tx.one(conflict, "certificate.update", r.Hash[:], r.Version, string(r.Status), string(r.Reason), r.Why,
		micros(r.RevokedAt), micros(r.UsedAt), blob(r.ReplacedBy), micros(r.ReplacedAt))
	if !errors.Is(err, est.ErrConflict) {
		return err
	}
	var version int64 // the right version and still no row: it would leave "revoked"
	if tx.QueryRow("certificate.version", r.Hash[:]).Scan(&version) == nil && version == r.Version {
		return fmt.Errorf("%w: certificate %x", est.ErrRevoked, r.Hash[:8])
	}
	return err
}

// one runs a statement that must change exactly one row; otherwise it returns none.
func (tx *Tx) one(none error, name string, args ...any) error {
	res, err := tx.Exec(name, args...)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n != 1 {
		return none
	}
	return err
}

func scanCertificate(row interface{ Scan(dest ...any) error }) (est.Record, error) {
	var r est.Record
	var notBefore, notAfter, issued, revoked, used, replaced int64
	err := row.Scan(hash(&r.Hash), hash(&r.Issuer), &r.Serial, hash(&r.SPKI), &r.Kind, &r.Profile, &r.Name,
		hash(&r.Factory), &notBefore, &notAfter, &issued, hash(&r.Client), hash(&r.CSR), hash(&r.Supersedes), &r.DER,
		&r.Version, &r.Status, &r.Reason, &r.Why, &revoked, &used, hash(&r.ReplacedBy), &replaced)
	r.NotBefore, r.NotAfter, r.IssuedAt = moment(notBefore), moment(notAfter), moment(issued)
	r.RevokedAt, r.UsedAt, r.ReplacedAt = moment(revoked), moment(used), moment(replaced)
	return r, err
}

func scanRight(row interface{ Scan(dest ...any) error }) (est.Right, error) {
	var r est.Right
	var from, until, changed int64
	err := row.Scan(hash(&r.Factory), &r.FactoryDER, &r.Endpoint, &r.State, &r.Epoch, hash(&r.SPKI), hash(&r.Issued),
		&from, &until, &changed, &r.Version)
	r.From, r.Until, r.ChangedAt = moment(from), moment(until), moment(changed)
	if len(r.FactoryDER) == 0 { // of a device without a factory certificate
		r.FactoryDER = nil
	}
	return r, err
}
