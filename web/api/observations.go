package api

import (
	"net/http"

	"steward/web"
)

func (a *API) observationRoutes() []route {
	const get, put, del = http.MethodGet, http.MethodPut, http.MethodDelete
	return []route{
		{method: get, pattern: "/observation-templates", role: web.RoleViewer, handler: a.templates},
		{method: get, pattern: "/observation-templates/{name}", role: web.RoleViewer, handler: a.template},
		{method: put, pattern: "/observation-templates/{name}", role: web.RoleOperator, handler: a.putTemplate},
		{method: del, pattern: "/observation-templates/{name}", role: web.RoleOperator, handler: a.removeTemplate},
		{method: get, pattern: "/devices/{id}/observations", role: web.RoleViewer, handler: a.deviceObservations},
		{
			method: http.MethodPost, pattern: "/devices/{id}/observations/reconcile", role: web.RoleOperator,
			handler: a.reconcileObservations,
		},
	}
}

type templatesView struct {
	Items web.Array[web.ObservationTemplate] `json:"items"`
}

func (a *API) templates(w http.ResponseWriter, r *http.Request) error {
	all, err := a.s.Observations.ObservationTemplates(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, templatesView{all})
}

func (a *API) putTemplate(w http.ResponseWriter, r *http.Request) error {
	var in web.ObservationTemplate
	if err := readNamed(r, &in, "name", &in.Name); err != nil {
		return err
	}
	t, err := a.s.Observations.PutObservationTemplate(r.Context(), web.ActorFrom(r.Context()), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, t)
}

func (a *API) removeTemplate(w http.ResponseWriter, r *http.Request) error {
	err := a.s.Observations.RemoveObservationTemplate(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "name"))
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type observationsView struct {
	Items web.Array[web.DeviceObservation] `json:"items"`
}

func (a *API) deviceObservations(w http.ResponseWriter, r *http.Request) error {
	all, err := a.s.Observations.DeviceObservations(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, observationsView{all})
}

func (a *API) template(w http.ResponseWriter, r *http.Request) error {
	all, err := a.s.Observations.ObservationTemplates(r.Context())
	if err != nil {
		return err
	}
	name := web.Param(r, "name")
	return among(w, all, "template", name, func(t web.ObservationTemplate) bool { return t.Name == name })
}

func (a *API) reconcileObservations(w http.ResponseWriter, r *http.Request) error {
	by := web.ActorFrom(r.Context())
	if err := a.s.Observations.ReconcileObservations(r.Context(), by, web.Param(r, "id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
