package api

import (
	"net/http"

	"steward/web"
)

// upstreamRoutes are those of certificates that an external CA makes.
func (a *API) upstreamRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	viewer, operator := web.RoleViewer, web.RoleOperator
	return []route{
		{method: get, pattern: "/ca/upstream", role: viewer, handler: a.upstreamRequests},
		{method: get, pattern: "/ca/upstream/{id}", role: viewer, handler: a.upstreamRequest},
		{method: post, pattern: "/ca/upstream/{id}/certificate", role: operator, handler: a.importUpstream},
		{method: post, pattern: "/ca/upstream/{id}/commands", role: operator, handler: a.decideUpstream},
	}
}

func (a *API) upstreamRequests(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.UpstreamRequest], error) {
		return a.s.Upstream.ListUpstream(r.Context(), r.URL.Query().Get("state"), p)
	})
}

func (a *API) upstreamRequest(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.s.Upstream.UpstreamRequest)
}

type certificateIn struct {
	Certificate string `json:"certificate"`
}

func (a *API) importUpstream(w http.ResponseWriter, r *http.Request) error {
	var in certificateIn
	if err := readBody(r, &in); err != nil {
		return err
	}
	u, err := a.s.Upstream.ImportUpstream(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in.Certificate)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, u)
}

func (a *API) decideUpstream(w http.ResponseWriter, r *http.Request) error {
	var in web.UpstreamDecision
	if err := readBody(r, &in); err != nil {
		return err
	}
	u, err := a.s.Upstream.DecideUpstream(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, u)
}
