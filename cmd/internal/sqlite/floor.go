package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
)

// A Floor is a file with one plain table, beneath what any store of rows can cost:
// for measurements.
type Floor struct {
	db     *sql.DB
	insert *sql.Stmt
}

// OpenFloor makes the file, whose rows are as durable as those of a DB.
func OpenFloor(ctx context.Context, path string) (*Floor, error) {
	db, err := sql.Open("sqlite", dsn(path, "rwc"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	const table = "CREATE TABLE row (hash BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT"
	if _, err := db.ExecContext(ctx, table); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	insert, err := db.PrepareContext(ctx, "INSERT INTO row (hash, body) VALUES (?, ?)")
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Floor{db, insert}, nil
}

// Write commits rows in one transaction.
func (f *Floor) Write(ctx context.Context, rows [][]byte) error {
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	insert := tx.StmtContext(ctx, f.insert) //nolint:sqlclosecheck // it ends with tx
	for _, row := range rows {
		hash := sha256.Sum256(row)
		if _, err := insert.ExecContext(ctx, hash[:], row); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// Close gives the file free.
func (f *Floor) Close() error { return errors.Join(f.insert.Close(), f.db.Close()) }
