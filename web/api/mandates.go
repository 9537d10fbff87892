package api

import (
	"net/http"

	"steward/web"
)

func (a *API) mandateRoutes() []route {
	return []route{
		{method: http.MethodGet, pattern: "/transfers/{id}/mandate", role: web.RoleViewer, handler: a.mandate},
		{
			method: http.MethodPost, pattern: "/transfers/{id}/mandate", role: web.RoleOperator, handler: a.giveMandate,
			upload: true,
		},
		{method: http.MethodGet, pattern: "/transfers/{id}/report", role: web.RoleViewer, handler: a.transferReport},
		{
			method: http.MethodGet, pattern: "/transfers/{id}/mandate-request", role: web.RoleViewer,
			handler: a.mandateRequest,
		},
	}
}

func (a *API) mandate(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.s.Mandates.Mandate)
}

func (a *API) transferReport(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.s.Records.TransferReport)
}

// A mandateBody is the body that gives a draft its mandate.
type mandateBody struct {
	Mandate []byte `json:"mandate"`
}

func (a *API) giveMandate(w http.ResponseWriter, r *http.Request) error {
	var in mandateBody
	if err := readBody(r, &in); err != nil {
		return err
	}
	t, err := a.s.Mandates.GiveMandate(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in.Mandate)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, t)
}

func (a *API) mandateRequest(w http.ResponseWriter, r *http.Request) error {
	text, err := a.s.Mandates.MandateRequest(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	return web.WriteFile(w, "application/json", "mandate-request.json", text)
}
