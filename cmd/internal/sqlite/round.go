package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"steward/est/attest"
	"steward/est/attest/rounds"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// Rounds implements rounds.Store, and keeps its rules.
type Rounds struct{ db *DB }

// Rounds returns the rounds.Store of db.
func (db *DB) Rounds() Rounds { return Rounds{db} }

var _ rounds.Store = Rounds{}

// Round implements rounds.Store.
func (s Rounds) Round(ctx context.Context, device fleet.ID) (rounds.Round, error) {
	r, err := scanRound(s.db.QueryRow(ctx, "round.of_device", string(device)))
	if errors.Is(err, sql.ErrNoRows) {
		return rounds.Round{}, fmt.Errorf("%w: %s", rounds.ErrUnknown, device)
	}
	return r, err
}

// Due implements rounds.Store.
func (s Rounds) Due(ctx context.Context, limit int) ([]rounds.Round, error) {
	rows, err := s.db.Query(ctx, "round.due", limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (rounds.Round, error) { return scanRound(r) })
}

// Waiting implements rounds.Store.
func (s Rounds) Waiting(ctx context.Context, after fleet.ID, limit int) ([]fleet.ID, error) {
	return s.ids(ctx, "round.waiting", after, limit)
}

// Provable implements rounds.Store.
func (s Rounds) Provable(ctx context.Context, after fleet.ID, limit int) ([]fleet.ID, error) {
	return s.ids(ctx, "round.provable", after, limit)
}

func (s Rounds) ids(ctx context.Context, name string, after fleet.ID, limit int) ([]fleet.ID, error) {
	rows, err := s.db.Query(ctx, name, string(after), limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (id fleet.ID, err error) { return id, r.Scan(&id) })
}

// Ruled implements rounds.Store.
func (s Rounds) Ruled(ctx context.Context) (bool, error) {
	rules, err := s.Rules(ctx)
	return len(rules) > 0, err
}

// Commit implements rounds.Store.
func (s Rounds) Commit(ctx context.Context, r rounds.Round, rows ...audit.Row) error {
	name, args := "round.insert", []any{string(r.Device)}
	if r.Version != 0 {
		name, args = "round.update", append(args, r.Version)
	}
	args = append(args, string(r.State), micros(r.Since), int64(r.Interval/time.Second), micros(r.Due), r.Waiting, r.Tries,
		r.Why, int64(r.Tier), r.Reason, micros(r.JudgedAt))
	return s.db.Update(ctx, func(tx *Tx) error {
		if err := tx.one(fmt.Errorf("%w: %s", rounds.ErrConflict, r.Device), name, args...); err != nil {
			return err
		}
		return each(tx, rows, (*Tx).Audit)
	})
}

func scanRound(row interface{ Scan(dest ...any) error }) (rounds.Round, error) {
	var r rounds.Round
	var wanted, since, every, due, tier, judged int64
	err := row.Scan(&r.Device, &wanted, &r.State, &since, &every, &due, &r.Waiting, &r.Tries, &r.Why, &tier, &r.Reason,
		&judged, &r.Version)
	r.Wanted, r.Interval = time.Duration(wanted)*time.Second, time.Duration(every)*time.Second
	r.Since, r.Due, r.JudgedAt = moment(since), moment(due), moment(judged)
	r.Tier = attest.Tier(tier) //nolint:gosec // our own
	return r, err
}

// A RoundLine is a round with the device's name.
type RoundLine struct {
	rounds.Round

	Endpoint string
}

// List returns up to limit rounds in a state, "" for all, in order of the devices,
// after the given one. Wanted is not said.
func (s Rounds) List(ctx context.Context, state rounds.State, after string, limit int) ([]RoundLine, error) {
	name, args := "round.listed", []any{after, limit}
	if state != "" {
		name, args = "round.in_state", []any{string(state), after, limit}
	}
	rows, err := s.db.Query(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (l RoundLine, err error) {
		l.Round, err = scanRound(also{r, []any{&l.Endpoint}})
		return l, err
	})
}

// Trouble returns how many devices are bad, and how many are mute.
func (s Rounds) Trouble(ctx context.Context) (bad, mute int, err error) {
	rows, err := s.db.Query(ctx, "round.trouble")
	if err != nil {
		return 0, 0, err
	}
	_, err = collect(rows, func(r *sql.Rows) (state rounds.State, err error) {
		var n int
		if err = r.Scan(&state, &n); state == rounds.Bad {
			bad = n
		} else {
			mute = n
		}
		return state, err
	})
	return bad, mute, err
}

// A RoundRule says how often devices prove what they run.
type RoundRule struct {
	Tag   string        // of the devices; "": those of no other rule
	Every time.Duration // whole seconds; 0: never
}

// Rules returns the rules in order of their tags.
func (s Rounds) Rules(ctx context.Context) ([]RoundRule, error) {
	rows, err := s.db.Query(ctx, "round.rules")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (RoundRule, error) {
		var rule RoundRule
		var every int64
		err := r.Scan(&rule.Tag, &every)
		rule.Every = time.Duration(every) * time.Second
		return rule, err
	})
}

// SetRule stores a rule in place of that of the same tag, with its audit row.
func (s Rounds) SetRule(ctx context.Context, rule RoundRule, actor string) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		before, err := everyBefore(tx, rule.Tag)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("round.set_rule", rule.Tag, int64(rule.Every/time.Second)); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "attestation.rule", Subject: "tag:" + rule.Tag, Before: before, After: rule.Every.String(),
		})
	})
}

// DropRule removes the rule of a tag, with its audit row. It returns ErrNoRule.
func (s Rounds) DropRule(ctx context.Context, tag, actor string) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		before, err := everyBefore(tx, tag)
		if err != nil {
			return err
		}
		if err := tx.one(ErrNoRule, "round.drop_rule", tag); err != nil {
			return err
		}
		return tx.Audit(audit.Row{Actor: actor, Action: "attestation.rule", Subject: "tag:" + tag, Before: before})
	})
}

// everyBefore returns the interval of a rule in words, "" if there is none.
func everyBefore(tx *Tx, tag string) (string, error) {
	var every int64
	err := tx.QueryRow("round.rule", tag).Scan(&every)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return (time.Duration(every) * time.Second).String(), err
}
