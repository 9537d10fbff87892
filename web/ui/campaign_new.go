package ui

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"steward/web"
)

// A newCampaignPage is the form that drafts a campaign.
type newCampaignPage struct {
	Form     campaignForm
	Releases []web.Release // approved
	All      []web.Release // that can be taken back
	Devices  choices
	Preview  *web.CampaignPreview // nil: not asked for
	Error    string               // why the form was refused; "" at first
}

func (u *UI) newCampaign(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	form := campaignForm{Values: url.Values{
		"release": {q.Get("release")}, "delivery": {string(web.Push)}, "device": q["device"], "members": {"listed"},
		"tag": {q.Get("tag")}, "scope": {q.Get("scope")}, "filter": {q.Get("filter")},
	}}
	return u.showNewCampaign(w, r, http.StatusOK, form, nil, "")
}

func (u *UI) showNewCampaign(
	w http.ResponseWriter, r *http.Request, status int, f campaignForm, p *web.CampaignPreview, why string,
) error {
	releases, err := u.s.Releases.ListReleases(r.Context(), web.Page{Size: web.MaxPageSize})
	if err != nil {
		return err
	}
	approved := slices.DeleteFunc(slices.Clone(releases.Items), func(r web.Release) bool { return r.State != "approved" })
	devices, _, all, err := u.filtered(r, f.Values)
	if !all {
		devices, err = u.choices(r, f.Values["device"])
	}
	if refusedInput(err) && why == "" {
		why, _ = reason(r, err)
	} else if err != nil && !refusedInput(err) {
		return err
	}
	return u.show(w, r, status, "campaign_new", "updates", "New update",
		newCampaignPage{f, approved, releases.Items, devices, p, why})
}

// readCampaign reads the form. A field that makes no sense is shown with the rest.
func (u *UI) readCampaign(r *http.Request) (campaignForm, web.NewCampaign, error) {
	if err := r.ParseForm(); err != nil {
		return campaignForm{}, web.NewCampaign{}, &web.Error{Is: web.ErrInvalid, Detail: "not a form", Cause: err}
	}
	f := campaignForm{Values: r.PostForm}
	n, err := f.campaign()
	if _, ids, all, wrong := u.filtered(r, f.Values); all {
		n.Devices, err = ids, errors.Join(err, wrong)
	}
	return f, n, err
}

// previewCampaign shows who the draft would take, and keeps nothing.
func (u *UI) previewCampaign(w http.ResponseWriter, r *http.Request) error {
	f, n, err := u.readCampaign(r)
	var p web.CampaignPreview
	if err == nil {
		p, err = u.s.Campaigns.PreviewCampaign(r.Context(), n, web.Page{Size: web.MaxPageSize})
	}
	if refusedInput(err) {
		why, _ := reason(r, err)
		return u.showNewCampaign(w, r, http.StatusUnprocessableEntity, f, nil, why)
	}
	if err != nil {
		return err
	}
	return u.showNewCampaign(w, r, http.StatusOK, f, &p, "")
}

// blankCampaign leads to an empty form who comes to the preview without one.
func (u *UI) blankCampaign(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/updates/new", http.StatusSeeOther)
	return nil
}

func (u *UI) createCampaign(w http.ResponseWriter, r *http.Request) error {
	f, n, err := u.readCampaign(r)
	var c web.Campaign
	if err == nil {
		c, err = u.s.Campaigns.CreateCampaign(r.Context(), web.ActorFrom(r.Context()), n)
	}
	if refusedInput(err) {
		why, _ := reason(r, err)
		return u.showNewCampaign(w, r, http.StatusUnprocessableEntity, f, nil, why)
	}
	said := "The update has begun."
	switch c.State {
	case "draft":
		said = "Drafted. Nothing happens before it is submitted and approved."
	case "review":
		said = "Submitted. Another person must approve it."
	}
	return u.done(w, r, err, campaignPath(c.ID), said, "/updates")
}
