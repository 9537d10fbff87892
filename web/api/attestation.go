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
		{
			method: http.MethodPost, pattern: "/devices/{id}/attestation", role: web.RoleOperator,
			handler: a.attest,
		},
	}
}

func (a *API) attestation(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.s.Attestations.Attestation)
}

func (a *API) attest(w http.ResponseWriter, r *http.Request) error {
	out, err := a.s.Attestations.Attest(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, out)
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
