package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/audit"
)

// Errors of saved views.
var (
	// ErrNoSavedView reports an id that none has.
	ErrNoSavedView = errors.New("no such saved view")
	// ErrSavedViews reports that somebody has too many.
	ErrSavedViews = errors.New("too many saved views")
)

// maxSavedViews bounds those of one person, and the shared ones.
const maxSavedViews = 100

// A SavedView is a filter of a list that somebody keeps.
type SavedView struct {
	ID        string
	Owner     string // "": shared
	Name      string
	Query     string
	CreatedAt time.Time
	CreatedBy string
}

// SavedViews keeps filters of lists.
type SavedViews struct{ db *DB }

// SavedViews returns the saved views of db.
func (db *DB) SavedViews() SavedViews { return SavedViews{db} }

// All returns those of owner and the shared ones in order of names.
func (s SavedViews) All(ctx context.Context, owner string) ([]SavedView, error) {
	rows, err := s.db.Query(ctx, "saved_view.list", owner, 2*maxSavedViews)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (SavedView, error) { return scanSavedView(r) })
}

// View returns one, or ErrNoSavedView.
func (s SavedViews) View(ctx context.Context, id string) (SavedView, error) {
	return scanSavedView(s.db.QueryRow(ctx, "saved_view.get", id))
}

func scanSavedView(r scanner) (v SavedView, err error) {
	var at int64
	err = r.Scan(&v.ID, &v.Owner, &v.Name, &v.Query, &at, &v.CreatedBy)
	if errors.Is(err, sql.ErrNoRows) {
		return v, ErrNoSavedView
	}
	v.CreatedAt = fromMicro(at)
	return v, err
}

// Put stores v in place of that of its owner with the same name, which keeps its id,
// with an audit row. It returns what is stored, or ErrSavedViews.
func (s SavedViews) Put(ctx context.Context, v SavedView, actor string) (out SavedView, err error) {
	err = s.db.Update(ctx, func(tx *Tx) error {
		before, err := scanSavedView(tx.QueryRow("saved_view.by_name", v.Owner, v.Name))
		if err != nil && !errors.Is(err, ErrNoSavedView) {
			return err
		}
		var n int
		if err := tx.QueryRow("saved_view.count", v.Owner).Scan(&n); err != nil {
			return err
		}
		if before.ID == "" && n >= maxSavedViews {
			return fmt.Errorf("%w: %d already", ErrSavedViews, n)
		}
		if _, err := tx.Exec("saved_view.put", v.ID, v.Owner, v.Name, v.Query, v.CreatedAt.UnixMicro(),
			v.CreatedBy); err != nil {
			return err
		}
		if out, err = scanSavedView(tx.QueryRow("saved_view.by_name", v.Owner, v.Name)); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "view.put", Subject: out.ID, Before: before.Query, After: v.Name + ": " + v.Query,
		})
	})
	return out, err
}

// Remove deletes one with an audit row, or returns ErrNoSavedView.
func (s SavedViews) Remove(ctx context.Context, id, actor string) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		before, err := scanSavedView(tx.QueryRow("saved_view.get", id))
		if err != nil {
			return err
		}
		if _, err := tx.Exec("saved_view.delete", id); err != nil {
			return err
		}
		return tx.Audit(audit.Row{Actor: actor, Action: "view.remove", Subject: id, Before: before.Name})
	})
}
