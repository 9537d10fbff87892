package api

import (
	"net/http"
	"strconv"

	"steward/web"
)

func (a *API) campaigns(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.Campaign], error) {
		return a.s.Campaigns.ListCampaigns(r.Context(), p)
	})
}

func (a *API) campaign(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.s.Campaigns.Campaign)
}

func (a *API) createCampaign(w http.ResponseWriter, r *http.Request) error {
	var in web.NewCampaign
	if err := readBody(r, &in); err != nil {
		return err
	}
	switch {
	case in.Delivery != web.Push && in.Delivery != web.Pull:
		return web.Invalid("delivery", "push or pull")
	case len(in.Devices) == 0 && in.Match == nil && in.Plan == nil:
		return web.Invalid("devices", "name at least one")
	}
	c, err := a.s.Campaigns.CreateCampaign(r.Context(), web.ActorFrom(r.Context()), in)
	if err != nil {
		return err
	}
	return created(w, "/campaigns/"+c.ID, c)
}

func (a *API) jobs(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.Job], error) {
		return a.s.Campaigns.Jobs(r.Context(), web.Param(r, "id"), web.JobFilter{State: r.URL.Query().Get("state")}, p)
	})
}

func (a *API) previewCampaign(w http.ResponseWriter, r *http.Request) error {
	var in web.NewCampaign
	if err := readBody(r, &in); err != nil {
		return err
	}
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	preview, err := a.s.Campaigns.PreviewCampaign(r.Context(), in, p)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, preview)
}

func (a *API) commandCampaign(w http.ResponseWriter, r *http.Request) error {
	var in web.CampaignCommand
	if err := readBody(r, &in); err != nil {
		return err
	}
	return a.commanded(w, r, in)
}

type reasonIn struct {
	Reason string `json:"reason"`
}

func (a *API) abortCampaign(w http.ResponseWriter, r *http.Request) error {
	var in reasonIn
	if err := readBody(r, &in); err != nil {
		return err
	}
	return a.commanded(w, r, web.CampaignCommand{Action: web.CampaignAbort, Reason: in.Reason})
}

func (a *API) commanded(w http.ResponseWriter, r *http.Request, cmd web.CampaignCommand) error {
	c, err := a.s.Campaigns.CommandCampaign(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), cmd)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, c)
}

func (a *API) campaignReport(w http.ResponseWriter, r *http.Request) error {
	format := web.ReportFormat(r.URL.Query().Get("format"))
	switch format {
	case web.ReportJSON, web.ReportCSV, web.ReportSigned:
	case "":
		format = web.ReportJSON
	default:
		return web.Invalid("format", "json, csv or signed")
	}
	f, err := a.s.Campaigns.CampaignReport(r.Context(), web.Param(r, "id"), format)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(f.Body)))
	return web.WriteFile(w, f.Type, f.Name, f.Body)
}
