package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"

	"steward/cmd/internal/revokelog"
	"steward/est"
)

// openJournal opens the file of what a restored database must not forget.
func (a *App) openJournal() (err error) {
	path := cmp.Or(a.cfg.Revocations, a.dir.file(fileRevocations))
	a.journal, err = revokelog.Open(path, a.now().Add(-est.MaxGrace))
	return err
}

// logRestored tells people that the database was older than the file. It does not
// know then which one-time passwords were used since: none is good any more.
func (a *App) logRestored(ctx context.Context) error {
	r := a.pki.restored
	level := slog.LevelDebug
	if r.Revoked+r.Deleted+r.Unknown > 0 {
		level = slog.LevelWarn
		if _, err := a.pki.ca.WithdrawPasswords(ctx); err != nil {
			return fmt.Errorf("one-time passwords of a restored database: %w", err)
		}
	}
	if r == (est.Restored{}) {
		return nil
	}
	a.log.LogAttrs(ctx, level, "revocations restored", slog.Int("revoked_again", r.Revoked),
		slog.Int("rights_deleted_again", r.Deleted), slog.Int("unknown_certificates", r.Unknown), slog.Int("kept", r.Kept),
		slog.Int("passwords_withdrawn", r.Withdrawn))
	return nil
}
