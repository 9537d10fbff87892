package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/audit"
)

// Errors of definitions.
var (
	// ErrNoDefinition reports an object and version that nobody defined.
	ErrNoDefinition = errors.New("no such definition")
	// ErrDefinitions reports that there are too many.
	ErrDefinitions = errors.New("too many definitions")
)

// maxDefinitions bounds the definitions that people add.
const maxDefinitions = 256

// A Definition is one version of an object that somebody defined.
type Definition struct {
	Object   uint16
	Version  string
	Document []byte // as it was uploaded
	AddedAt  time.Time
	AddedBy  string
}

// Definitions keeps the objects that people define.
type Definitions struct{ db *DB }

// Definitions returns the definitions of db.
func (db *DB) Definitions() Definitions { return Definitions{db} }

// All returns the definitions in order of objects and versions.
func (s Definitions) All(ctx context.Context) ([]Definition, error) {
	rows, err := s.db.Query(ctx, "definition.all")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (d Definition, err error) {
		var at int64
		err = r.Scan(&d.Object, &d.Version, &d.Document, &at, &d.AddedBy)
		d.AddedAt = fromMicro(at)
		return d, err
	})
}

// Put stores definitions, all or none, in place of those of the same objects and
// versions. It returns ErrDefinitions if there would be too many.
func (s Definitions) Put(ctx context.Context, all []Definition) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		for _, d := range all {
			before, err := definitionBefore(tx, d.Object, d.Version)
			if err == nil {
				_, err = tx.Exec("definition.put", d.Object, d.Version, d.Document, d.AddedAt.UnixMicro(), d.AddedBy)
			}
			if err == nil {
				err = tx.Audit(audit.Row{
					Actor: d.AddedBy, Action: "object.define", Subject: definitionName(d.Object, d.Version), At: d.AddedAt,
					Before: before, After: documentText(d.Document),
				})
			}
			if err != nil {
				return err
			}
		}
		var n int
		if err := tx.QueryRow("definition.count").Scan(&n); err != nil {
			return err
		}
		if n > maxDefinitions {
			return fmt.Errorf("%w: %d is the most", ErrDefinitions, maxDefinitions)
		}
		return nil
	})
}

// Remove deletes one. It returns ErrNoDefinition if there is none.
func (s Definitions) Remove(ctx context.Context, object uint16, version, actor string) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		before, err := definitionBefore(tx, object, version)
		if err != nil {
			return err
		}
		res, err := tx.Exec("definition.delete", object, version)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNoDefinition)
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "object.undefine", Subject: definitionName(object, version), Before: before,
		})
	})
}

func definitionName(object uint16, version string) string {
	return fmt.Sprintf("object %d %s", object, version)
}

// definitionBefore says in the audit which document there is of an object; "" if there
// is none.
func definitionBefore(tx *Tx, object uint16, version string) (string, error) {
	var document []byte
	err := tx.QueryRow("definition.get", object, version).Scan(&document)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return documentText(document), err
}

// documentText names a document in the audit: whoever has the file can tell that it is
// the one.
func documentText(document []byte) string {
	return fmt.Sprintf("%d bytes, SHA-256 %x", len(document), sha256.Sum256(document))
}
