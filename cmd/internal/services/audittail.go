package services

import (
	"context"
	"encoding/hex"
	"log/slog"
	"slices"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/lwm2m/audit"
	"steward/web"
)

// Bounds of what is told of the audit chain while somebody watches.
const (
	tellEvery = 250 * time.Millisecond // rows that come together are told together
	maxTold   = 16                     // rows at a time, the newest; of those before, only that there are some
)

// An AuditTail tells those who watch a Hub's stream of audit rows, soon after these
// were committed. Where nobody watches it reads nothing, however many are written.
type AuditTail struct {
	hub *Hub
	db  *sqlite.DB
	out *slog.Logger
}

// NewAuditTail returns an AuditTail of the rows of db.
func NewAuditTail(hub *Hub, db *sqlite.DB, out *slog.Logger) *AuditTail {
	return &AuditTail{hub: hub, db: db, out: out}
}

// Run tells of rows until ctx ends.
func (t *AuditTail) Run(ctx context.Context) error {
	told, err := t.newest(ctx)
	for {
		if err != nil && ctx.Err() == nil {
			t.out.LogAttrs(ctx, slog.LevelError, "audit rows not told", slog.Any("error", err))
		}
		select {
		case <-t.db.AuditNews():
		case <-ctx.Done():
			return nil
		}
		if !t.hub.stream.Watched(time.Now()) {
			told, err = t.db.NewestAudit(), nil
			continue
		}
		select {
		case <-time.After(tellEvery):
		case <-ctx.Done():
			return nil
		}
		told, err = t.tell(ctx, told)
	}
}

// newest returns the id of the newest row, 0 if there is none.
func (t *AuditTail) newest(ctx context.Context) (int64, error) {
	rows, err := t.db.View().AuditRows(ctx, sqlite.AuditQuery{Limit: 1})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return rows[0].ID, nil
}

// tell publishes the newest of the rows after the one that was told last, and returns
// the last of them.
func (t *AuditTail) tell(ctx context.Context, told int64) (int64, error) {
	rows, err := t.db.View().AuditRows(ctx, sqlite.AuditQuery{Limit: maxTold})
	if err != nil {
		return told, err
	}
	rows = slices.DeleteFunc(rows, func(r audit.Record) bool { return r.ID <= told })
	slices.Reverse(rows)
	if len(rows) > 0 && rows[0].ID > told+1 {
		t.hub.publishKept(false, web.EventAudit, "", web.AuditGap{After: told, Before: rows[0].ID})
	}
	for _, r := range rows {
		t.hub.publishKept(false, web.EventAudit, r.Subject, auditRow(r))
		told = r.ID
	}
	return told, nil
}

// auditRow is a row as people see it.
func auditRow(r audit.Record) web.AuditRow {
	return web.AuditRow{
		ID: r.ID, At: r.At, Actor: r.Actor, Action: r.Action, Subject: r.Subject, Reason: r.Reason,
		Before: r.Before, After: r.After, Hash: hex.EncodeToString(r.Hash[:]),
	}
}
