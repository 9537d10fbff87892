package api

import (
	"net/http"

	"steward/web"
)

func (a *API) attestationRoundRoutes() []route {
	const get, put, del = http.MethodGet, http.MethodPut, http.MethodDelete
	const rule = "/attestation-rules/{tag}"
	return []route{
		{method: get, pattern: "/attestations", role: web.RoleViewer, handler: a.attestations},
		{method: get, pattern: "/attestation-rules", role: web.RoleViewer, handler: a.attestationRules},
		{method: get, pattern: rule, role: web.RoleViewer, handler: a.attestationRule},
		{method: put, pattern: rule, role: web.RoleAdmin, handler: a.putAttestationRule},
		{method: del, pattern: rule, role: web.RoleAdmin, handler: a.removeAttestationRule},
	}
}

func (a *API) attestations(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.AttestationRound], error) {
		return a.s.Rounds.ListAttestations(r.Context(), r.URL.Query().Get("state"), p)
	})
}

type attestationRulesView struct {
	Items web.Array[web.AttestationRule] `json:"items"`
}

func (a *API) attestationRules(w http.ResponseWriter, r *http.Request) error {
	rules, err := a.s.Rounds.AttestationRules(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, attestationRulesView{rules})
}

func (a *API) attestationRule(w http.ResponseWriter, r *http.Request) error {
	rules, err := a.s.Rounds.AttestationRules(r.Context())
	if err != nil {
		return err
	}
	tag := web.Param(r, "tag")
	return among(w, rules, "attestation rule", tag, func(x web.AttestationRule) bool { return x.Tag == tag })
}

type attestationRuleIn struct {
	Seconds *int `json:"every_seconds"`
}

func (a *API) putAttestationRule(w http.ResponseWriter, r *http.Request) error {
	var in attestationRuleIn
	if err := readBody(r, &in); err != nil {
		return err
	}
	if in.Seconds == nil {
		return web.Invalid("every_seconds", "missing")
	}
	rule, err := a.s.Rounds.PutAttestationRule(r.Context(), web.ActorFrom(r.Context()), web.AttestationRule{
		Tag: web.Param(r, "tag"), Seconds: *in.Seconds,
	})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, rule)
}

func (a *API) removeAttestationRule(w http.ResponseWriter, r *http.Request) error {
	err := a.s.Rounds.RemoveAttestationRule(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "tag"))
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
