package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"steward/est/enrol"
	"steward/lwm2m/fleet"
)

// Enrolments implements enrol.Store.
type Enrolments struct{ db *DB }

// Enrolments returns the enrol.Store of db.
func (db *DB) Enrolments() Enrolments { return Enrolments{db} }

var _ enrol.Store = Enrolments{}

// Enrolment implements enrol.Store.
func (s Enrolments) Enrolment(ctx context.Context, device fleet.ID) (enrol.Enrolment, error) {
	e, err := scanEnrolment(s.db.QueryRow(ctx, "enrolment.by_device", string(device)))
	if errors.Is(err, sql.ErrNoRows) {
		return enrol.Enrolment{}, fmt.Errorf("%w: %s", enrol.ErrUnknown, device)
	}
	return e, err
}

// Due implements enrol.Store.
func (s Enrolments) Due(ctx context.Context, until time.Time, after enrol.Enrolment, limit int) (
	[]enrol.Enrolment, error,
) {
	rows, err := s.db.Query(ctx, "enrolment.due", until.UnixMicro(), micros(after.Due), string(after.Device), limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (enrol.Enrolment, error) { return scanEnrolment(r) })
}

// Issued implements enrol.Store.
func (s Enrolments) Issued(ctx context.Context, limit int) ([]enrol.Issuance, error) {
	rows, err := s.db.Query(ctx, "enrolment.issued", limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (enrol.Issuance, error) {
		var i enrol.Issuance
		var issued, ends int64
		err := r.Scan(&i.Position, &i.Device, hash(&i.Certificate), &i.Profile, &issued, &ends, &i.Renews)
		i.IssuedAt, i.NotAfter = moment(issued), moment(ends)
		return i, err
	})
}

// Counts implements enrol.Store.
func (s Enrolments) Counts(ctx context.Context) (map[enrol.State]int, error) {
	rows, err := s.db.Query(ctx, "enrolment.counts")
	if err != nil {
		return nil, err
	}
	out := map[enrol.State]int{}
	_, err = collect(rows, func(r *sql.Rows) (enrol.State, error) {
		var state enrol.State
		var n int
		err := r.Scan(&state, &n)
		out[state] = n
		return state, err
	})
	return out, err
}

// An EnrolmentLine is an enrolment with the device's name.
type EnrolmentLine struct {
	enrol.Enrolment

	Endpoint string
}

// List returns up to limit enrolments in a state other than good, in order of the
// devices, after the given one.
func (s Enrolments) List(ctx context.Context, state enrol.State, after string, limit int) ([]EnrolmentLine, error) {
	rows, err := s.db.Query(ctx, "enrolment.in_state", string(state), after, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (l EnrolmentLine, err error) {
		l.Enrolment, err = scanEnrolment(also{r, []any{&l.Endpoint}})
		return l, err
	})
}

// Commit implements enrol.Store.
func (s Enrolments) Commit(ctx context.Context, ch enrol.Change) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if err := each(tx, ch.Enrolments, putEnrolment); err != nil {
			return err
		}
		if ch.Position > 0 {
			if _, err := tx.Exec("enrolment.advance", ch.Position); err != nil {
				return err
			}
		}
		return each(tx, ch.Audit, (*Tx).Audit)
	})
}

func putEnrolment(tx *Tx, e enrol.Enrolment) error {
	name, args := "enrolment.insert", []any{string(e.Device)}
	if e.Version != 0 {
		name, args = "enrolment.update", append(args, e.Version)
	}
	args = append(args, string(e.State), blob(e.Certificate), e.Profile, micros(e.IssuedAt), micros(e.NotAfter), e.Proven,
		micros(e.Due), string(e.Want), e.Tries, e.Why, micros(e.FailedAt), micros(e.ChangedAt))
	return tx.one(fmt.Errorf("%w: %s", enrol.ErrConflict, e.Device), name, args...)
}

func scanEnrolment(row interface{ Scan(dest ...any) error }) (enrol.Enrolment, error) {
	var e enrol.Enrolment
	var issued, ends, due, failed, changed int64
	err := row.Scan(&e.Device, &e.State, hash(&e.Certificate), &e.Profile, &issued, &ends, &e.Proven, &due, &e.Want,
		&e.Tries, &e.Why, &failed, &changed, &e.Version)
	e.IssuedAt, e.NotAfter, e.Due = moment(issued), moment(ends), moment(due)
	e.FailedAt, e.ChangedAt = moment(failed), moment(changed)
	return e, err
}
