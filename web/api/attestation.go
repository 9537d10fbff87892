package api

import (
	"net/http"

	"steward/web"
)

func (a *API) attestationRoutes() []route {
	return []route{
		{
			method: http.MethodGet, pattern: "/devices/{id}/attestation", role: web.RoleViewer,
			handler: a.attestation,
		},
		{
			method: http.MethodPut, pattern: "/devices/{id}/attestation", role: web.RoleOperator,
			handler: a.setAttestation,
		},
	}
}

func (a *API) attestation(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.s.Attestations.Attestation)
}

func (a *API) setAttestation(w http.ResponseWriter, r *http.Request) error {
	var in web.NewAttestation
	if err := readBody(r, &in); err != nil {
		return err
	}
	out, err := a.s.Attestations.SetAttestation(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
