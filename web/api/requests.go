package api

import (
	"net/http"

	"steward/web"
)

// requestRoutes are those of requests that wait for people.
func (a *API) requestRoutes() []route {
	return []route{
		{method: http.MethodGet, pattern: "/ca/requests", role: web.RoleViewer, handler: a.certificateRequests},
		{
			method: http.MethodPost, pattern: "/ca/requests/{id}/commands", role: web.AnyOf(web.RoleOperator, web.RoleSecurity),
			handler: a.decideCertificateRequest,
		},
	}
}

func (a *API) certificateRequests(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.CertificateRequest], error) {
		return a.s.Requests.ListCertificateRequests(r.Context(), r.URL.Query().Get("state"), p)
	})
}

func (a *API) decideCertificateRequest(w http.ResponseWriter, r *http.Request) error {
	var in web.RequestDecision
	if err := readBody(r, &in); err != nil {
		return err
	}
	out, err := a.s.Requests.DecideCertificateRequest(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
