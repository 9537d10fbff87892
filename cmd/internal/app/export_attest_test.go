package app

import (
	"context"
	"log/slog"

	"steward/cmd/internal/sqlite"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// Learn has a provider with that database hear of an attestation key.
func Learn(ctx context.Context, db *sqlite.DB, f fleet.Factory, info transfer.RAInfo) error {
	a := &App{db: db, auditor: newAuditor(db, slog.New(slog.DiscardHandler))}
	return attesters{a}.Learn(ctx, f, info, "peer:Alpha")
}
