package ui

import (
	"errors"
	"net/http"

	"steward/web"
)

// An overviewPage is the first page: numbers, what needs attention, what
// happened last.
type overviewPage struct {
	web.Overview

	Recent                      []web.AuditRow
	Ending7, Ending30, Ending90 int    // live certificates that end within so many days
	Base                        string // address of this dashboard
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
	page := overviewPage{Overview: o, Recent: recent.Items, Base: u.base(r)}
	inventory, err := u.s.Certificates.Inventory(r.Context())
	if err != nil && !errors.Is(err, web.ErrNotBuilt) && !errors.Is(err, web.ErrForbidden) {
		return err
	}
	page.Ending7, page.Ending30, page.Ending90 = inventory.Ending7, inventory.Ending30, inventory.Ending90
	return u.show(w, r, http.StatusOK, "overview", "overview", "Overview", page)
}
