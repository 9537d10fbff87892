package ui

import (
	"net/http"

	"steward/web"
)

// An activityPage lists audit rows, the newest first.
type activityPage struct {
	Filter web.AuditFilter
	Rows   []web.AuditRow
	Next   string // address of the next part; "" on the last
	Live   string // which events bring new rows; "" on a part where none can appear
}

func (u *UI) activity(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p, err := web.ParsePage(q)
	if err != nil {
		return err
	}
	f := web.AuditFilter{Subject: q.Get("subject"), Actor: q.Get("actor"), Action: q.Get("action")}
	list, err := u.s.Activity.ListAudit(r.Context(), f, p)
	if err != nil {
		return err
	}
	page := activityPage{Filter: f, Rows: list.Items, Next: web.NextURL(r.URL, list.Next)}
	if p.After == "" {
		page.Live = "type=" + web.EventAudit
	}
	return u.show(w, r, http.StatusOK, "activity", "activity", "Activity", page)
}
