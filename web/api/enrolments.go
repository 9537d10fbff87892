package api

import (
	"net/http"

	"steward/web"
)

func (a *API) enrolmentRoutes() []route {
	return []route{
		{method: http.MethodGet, pattern: "/enrolments", role: web.RoleViewer, handler: a.enrolments},
		{method: http.MethodGet, pattern: "/devices/{id}/enrolment", role: web.RoleViewer, handler: a.enrolment},
		{method: http.MethodPost, pattern: "/devices/{id}/enrolment", role: web.RoleOperator, handler: a.orderEnrolment},
	}
}

func (a *API) enrolments(w http.ResponseWriter, r *http.Request) error {
	state := r.URL.Query().Get("state")
	if state == "" {
		state = "failed"
	}
	return listed(w, r, func(p web.Page) (web.List[web.DeviceEnrolment], error) {
		return a.s.Enrolments.ListEnrolments(r.Context(), state, p)
	})
}

func (a *API) enrolment(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.s.Enrolments.DeviceEnrolment)
}

func (a *API) orderEnrolment(w http.ResponseWriter, r *http.Request) error {
	var in web.EnrolmentOrder
	if err := readBody(r, &in); err != nil {
		return err
	}
	e, err := a.s.Enrolments.OrderEnrolment(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusAccepted, e)
}
