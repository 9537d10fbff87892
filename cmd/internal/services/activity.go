package services

import (
	"context"
	"strconv"

	"steward/cmd/internal/sqlite"
	"steward/lwm2m/audit"
	"steward/web"
)

// activity implements web.Activity.
type activity struct{ *base }

// ListAudit implements web.Activity. Its cursors are ids of rows.
func (s *activity) ListAudit(ctx context.Context, f web.AuditFilter, p web.Page) (web.List[web.AuditRow], error) {
	q := sqlite.AuditQuery{Subject: f.Subject, Actor: f.Actor, Action: f.Action, Limit: limit(p)}
	if p.After != "" {
		var err error
		if q.Before, err = strconv.ParseInt(p.After, 10, 64); err != nil || q.Before < 1 {
			return web.List[web.AuditRow]{}, errCursor()
		}
	}
	rows, err := s.view.AuditRows(ctx, q)
	if err != nil {
		return web.List[web.AuditRow]{}, translate(err)
	}
	return paged(p, rows, func(r audit.Record) string { return strconv.FormatInt(r.ID, 10) },
		func(r audit.Record) (web.AuditRow, error) {
			return auditRow(r), nil
		})
}

// AuditChain implements web.Activity.
func (s *activity) AuditChain(ctx context.Context, after int64) ([]audit.Record, error) {
	rows, err := s.DB.AuditAfter(ctx, after)
	return rows, translate(err)
}
