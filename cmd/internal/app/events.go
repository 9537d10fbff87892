package app

import (
	"context"
	"net/url"

	"steward/cmd/internal/services"
)

// keepEvents has what happens kept in the database, after what an earlier process kept.
func (a *App) keepEvents(ctx context.Context) error {
	events := a.db.Events()
	_, newest, err := events.Bounds(ctx)
	if err != nil {
		return err
	}
	a.web.stream.Log, a.web.stream.Source = events, a.eventSource()
	a.web.stream.Resume(newest)
	a.recorder = services.NewRecorder(events, a.log)
	a.hub.Record(a.recorder)
	a.rates = services.NewRates(a.totals)
	a.auditTail = services.NewAuditTail(a.hub, a.db, a.log)
	return nil
}

// eventSource names this provider in events: a URI reference, the same after a move.
func (a *App) eventSource() string { return "/providers/" + url.PathEscape(a.cfg.Name) }
