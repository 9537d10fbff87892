package api

import (
	"net/http"

	"steward/web"
)

// passwordRoutes are those of one-time passwords.
func (a *API) passwordRoutes() []route {
	either := web.AnyOf(web.RoleOperator, web.RoleSecurity)
	return []route{
		{method: http.MethodGet, pattern: "/ca/passwords", role: web.RoleViewer, handler: a.passwords},
		{method: http.MethodPost, pattern: "/ca/passwords", role: either, handler: a.makePassword},
		{method: http.MethodDelete, pattern: "/ca/passwords/{id}", role: either, handler: a.withdrawPassword},
	}
}

func (a *API) passwords(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.OneTimePassword], error) {
		return a.s.Passwords.ListPasswords(r.Context(), p)
	})
}

// makePassword answers with the secret: nobody may keep the answer.
func (a *API) makePassword(w http.ResponseWriter, r *http.Request) error {
	var in web.NewOneTimePassword
	if err := readBody(r, &in); err != nil {
		return err
	}
	made, err := a.s.Passwords.MakePassword(r.Context(), web.ActorFrom(r.Context()), in)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return web.WriteJSON(w, http.StatusCreated, made)
}

func (a *API) withdrawPassword(w http.ResponseWriter, r *http.Request) error {
	p, err := a.s.Passwords.WithdrawPassword(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, p)
}
