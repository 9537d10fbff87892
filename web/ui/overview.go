package ui

import (
	"net/http"

	"steward/web"
)

// An overviewPage is the first page: numbers, what needs attention, what
// happened last.
type overviewPage struct {
	web.Overview

	Recent []web.AuditRow
}

const recentRows = 12 // fill the column beside the numbers on a usual screen

func (u *UI) overview(w http.ResponseWriter, r *http.Request) error {
	o, err := u.s.Overview.Overview(r.Context(), u.o.Now())
	if err != nil {
		return err
	}
	recent, err := u.s.Activity.ListAudit(r.Context(), web.AuditFilter{}, web.Page{Size: recentRows})
	if err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "overview", "overview", "Overview", overviewPage{o, recent.Items})
}
