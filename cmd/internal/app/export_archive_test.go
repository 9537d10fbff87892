package app

import (
	"context"
	"time"

	"steward/cmd/internal/sqlite"
)

// Archive moves audit rows before a time to files.
func Archive(ctx context.Context, dir string, db *sqlite.DB, before time.Time) error {
	return archiver{dir, db, time.Now()}.run(ctx, before)
}

// WriteArchive writes one file, and removes nothing: what a crash leaves.
func WriteArchive(ctx context.Context, dir string, db *sqlite.DB, before time.Time) (bool, error) {
	return archiver{dir, db, time.Now()}.writeArchive(ctx, before)
}

// ErrArchive reports a file that cannot stand for rows.
var ErrArchive = errArchive
