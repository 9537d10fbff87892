package ui

import (
	"net/http"

	"steward/web"
)

// An updatesPage lists campaigns and releases.
type updatesPage struct {
	Campaigns []web.Campaign
	Releases  []web.Release
	Next      string // address of the next part of the campaigns; "" on the last
}

func (u *UI) updates(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	campaigns, err := u.s.Campaigns.ListCampaigns(r.Context(), p)
	if err != nil {
		return err
	}
	releases, err := u.s.Releases.ListReleases(r.Context(), web.Page{Size: web.DefaultPageSize})
	if err != nil {
		return err
	}
	page := updatesPage{campaigns.Items, releases.Items, web.NextURL(r.URL, campaigns.Next)}
	return u.show(w, r, http.StatusOK, "updates", "updates", "Updates", page)
}
