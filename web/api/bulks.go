package api

import (
	"net/http"

	"steward/web"
)

func (a *API) bulkRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	viewer, operator := web.RoleViewer, web.RoleOperator
	either := web.AnyOf(operator, web.RoleSecurity)
	return []route{
		{method: post, pattern: "/devices/{id}/tags", role: operator, handler: a.changeTags},
		{method: post, pattern: "/devices/{id}/retire", role: web.RoleSecurity, handler: a.retireDevice},
		{method: post, pattern: "/devices/{id}/erase", role: web.RoleAdmin, handler: a.eraseDevice},
		{method: get, pattern: "/bulk-actions", role: viewer, handler: a.bulks},
		{method: post, pattern: "/bulk-actions", role: either, handler: a.startBulk, upload: true},
		{method: post, pattern: "/bulk-actions/preview", role: either, handler: a.previewBulk, upload: true},
		{method: get, pattern: "/bulk-actions/{id}", role: viewer, handler: a.bulk},
		{method: post, pattern: "/bulk-actions/{id}/commands", role: either, handler: a.decideBulk},
		{method: get, pattern: "/bulk-actions/{id}/devices", role: viewer, handler: a.bulkResults},
		{method: get, pattern: "/views", role: viewer, handler: a.views},
		{method: post, pattern: "/views", role: viewer, handler: a.putView},
		{method: http.MethodDelete, pattern: "/views/{id}", role: viewer, handler: a.removeView},
	}
}

func (a *API) changeTags(w http.ResponseWriter, r *http.Request) error {
	var in web.TagChange
	if err := readBody(r, &in); err != nil {
		return err
	}
	d, err := a.s.Devices.ChangeTags(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, d)
}

func (a *API) retireDevice(w http.ResponseWriter, r *http.Request) error {
	var in web.Retirement
	if err := readBody(r, &in); err != nil {
		return err
	}
	d, err := a.s.Devices.RetireDevice(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, d)
}

type erasure struct {
	Endpoint string `json:"endpoint"`
	Reason   string `json:"reason"`
}

func (a *API) eraseDevice(w http.ResponseWriter, r *http.Request) error {
	var in erasure
	if err := readBody(r, &in); err != nil {
		return err
	}
	err := a.s.Devices.EraseDevice(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in.Endpoint, in.Reason)
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) bulks(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.Bulk], error) { return a.s.Bulks.ListBulks(r.Context(), p) })
}

func (a *API) startBulk(w http.ResponseWriter, r *http.Request) error {
	var in web.NewBulk
	if err := readBody(r, &in); err != nil {
		return err
	}
	b, err := a.s.Bulks.StartBulk(r.Context(), web.ActorFrom(r.Context()), in)
	if err != nil {
		return err
	}
	w.Header().Set("Location", Prefix+"/bulk-actions/"+b.ID)
	return web.WriteJSON(w, http.StatusAccepted, b)
}

func (a *API) decideBulk(w http.ResponseWriter, r *http.Request) error {
	var in web.BulkDecision
	if err := readBody(r, &in); err != nil {
		return err
	}
	b, err := a.s.Bulks.DecideBulk(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, b)
}

func (a *API) previewBulk(w http.ResponseWriter, r *http.Request) error {
	var in web.NewBulk
	if err := readBody(r, &in); err != nil {
		return err
	}
	p, err := a.s.Bulks.PreviewBulk(r.Context(), web.ActorFrom(r.Context()), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, p)
}

func (a *API) bulk(w http.ResponseWriter, r *http.Request) error { return one(w, r, a.s.Bulks.Bulk) }

func (a *API) bulkResults(w http.ResponseWriter, r *http.Request) error {
	f := web.BulkFilter{State: r.URL.Query().Get("state")}
	return listed(w, r, func(p web.Page) (web.List[web.BulkResult], error) {
		return a.s.Bulks.BulkResults(r.Context(), web.Param(r, "id"), f, p)
	})
}

type viewsView struct {
	Items web.Array[web.SavedView] `json:"items"`
}

func (a *API) views(w http.ResponseWriter, r *http.Request) error {
	all, err := a.s.Views.Views(r.Context(), web.ActorFrom(r.Context()))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, viewsView{all})
}

type viewIn struct {
	Name   string `json:"name"`
	Query  string `json:"query"`
	Shared bool   `json:"shared"`
}

func (a *API) putView(w http.ResponseWriter, r *http.Request) error {
	var in viewIn
	if err := readBody(r, &in); err != nil {
		return err
	}
	v, err := a.s.Views.PutView(r.Context(), web.ActorFrom(r.Context()), web.SavedView{
		Name: in.Name, Query: in.Query, Shared: in.Shared,
	})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, v)
}

func (a *API) removeView(w http.ResponseWriter, r *http.Request) error {
	if err := a.s.Views.RemoveView(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
