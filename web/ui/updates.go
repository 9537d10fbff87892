package ui

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

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

// A newCampaignPage is the form that starts a campaign.
type newCampaignPage struct {
	Form     web.NewCampaign
	Releases []web.Release
	Devices  choices
	Error    string // why the form was refused; "" at first
}

// A choice is a device that can be ticked.
type choice struct {
	web.Device

	Chosen bool
}

// choices are the devices that a form offers: those chosen before, then others.
type choices struct {
	List []choice
	More bool // not all others are listed
}

func (u *UI) newCampaign(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	form := web.NewCampaign{Release: q.Get("release"), Delivery: web.Push, Devices: q["device"]}
	return u.showNewCampaign(w, r, http.StatusOK, form, "")
}

func (u *UI) showNewCampaign(w http.ResponseWriter, r *http.Request, status int, f web.NewCampaign, why string) error {
	releases, err := u.s.Releases.ListReleases(r.Context(), web.Page{Size: web.MaxPageSize})
	if err != nil {
		return err
	}
	approved := slices.DeleteFunc(releases.Items, func(r web.Release) bool { return r.State != "approved" })
	devices, err := u.choices(r, f.Devices)
	if err != nil {
		return err
	}
	return u.show(w, r, status, "campaign_new", "updates", "New update", newCampaignPage{f, approved, devices, why})
}

// choices lists the devices in chosen, ticked, and others that belong to us, up to
// a page. A device that was chosen is there however many there are; one that
// nobody knows is left out.
func (u *UI) choices(r *http.Request, chosen []string) (out choices, err error) {
	ours := web.DeviceFilter{Ownership: "owned"}
	list, err := u.s.Devices.ListDevices(r.Context(), ours, web.Page{Size: web.MaxPageSize})
	if err != nil {
		return out, err
	}
	known := map[string]web.Device{}
	for _, d := range list.Items {
		known[d.ID] = d
	}
	chosen = slices.Compact(slices.Sorted(slices.Values(chosen)))
	for _, id := range chosen {
		d, ok := known[id]
		if !ok {
			d, err = u.find(r, id)
		}
		if errors.Is(err, web.ErrNotFound) {
			continue
		}
		if err != nil {
			return out, err
		}
		out.List = append(out.List, choice{d, true})
	}
	for _, d := range list.Items {
		if _, ticked := slices.BinarySearch(chosen, d.ID); !ticked {
			out.List = append(out.List, choice{d, false})
		}
	}
	out.More = list.Next != ""
	return out, nil
}

func (u *UI) find(r *http.Request, id string) (web.Device, error) {
	d, err := u.s.Devices.Device(r.Context(), id)
	return d.Device, err
}

func (u *UI) createCampaign(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return &web.Error{Is: web.ErrInvalid, Detail: "not a form", Cause: err}
	}
	form := web.NewCampaign{
		Name: strings.TrimSpace(r.PostForm.Get("name")), Release: r.PostForm.Get("release"),
		Delivery: web.Delivery(r.PostForm.Get("delivery")), Devices: r.PostForm["device"],
	}
	c, err := u.s.Campaigns.CreateCampaign(r.Context(), web.ActorFrom(r.Context()), form)
	if refusedInput(err) {
		why, _ := reason(r, err)
		return u.showNewCampaign(w, r, http.StatusUnprocessableEntity, form, why)
	}
	return u.done(w, r, err, "/updates/"+c.ID, "The update has begun.", "/updates")
}

// refusedInput reports whether a form should be shown again with what was
// typed, rather than be lost.
func refusedInput(err error) bool {
	return errors.Is(err, web.ErrInvalid) || errors.Is(err, web.ErrConflict)
}

// A campaignPage is one campaign and its devices.
type campaignPage struct {
	web.Campaign

	Jobs []web.Job
	Next string // address of the next part of the jobs; "" on the last
}

func (u *UI) campaign(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	c, err := u.s.Campaigns.Campaign(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	jobs, err := u.s.Campaigns.Jobs(r.Context(), c.ID, p)
	if err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "campaign", "updates", c.Name,
		campaignPage{c, jobs.Items, web.NextURL(r.URL, jobs.Next)})
}

func (u *UI) abortCampaign(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	page := "/updates/" + url.PathEscape(id)
	_, err := u.s.Campaigns.CommandCampaign(r.Context(), web.ActorFrom(r.Context()), id,
		web.CampaignCommand{Action: web.CampaignAbort, Reason: r.PostFormValue("reason")})
	return u.done(w, r, err, page, "Aborted. Devices that already install will finish.", page)
}
