package api

import (
	"errors"
	"net/http"

	"steward/web"
)

// upkeepRoutes are those of what keeps the provider itself in order.
func (a *API) upkeepRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{method: post, pattern: "/backups", role: web.RoleAdmin, handler: a.backup},
		{method: get, pattern: "/restoration", role: web.RoleViewer, handler: a.restoration},
		{method: get, pattern: "/restoration/rights", role: web.RoleViewer, handler: a.restoredRights},
		{method: post, pattern: "/restoration/commands", role: web.RoleAdmin, handler: a.reconcile, upload: true},
		{method: get, pattern: "/log-level", role: web.RoleViewer, handler: a.logLevel},
		{method: http.MethodPut, pattern: "/log-level", role: web.RoleAdmin, handler: a.setLogLevel},
	}
}

// backup answers with a backup. One that breaks off is noticed by its reader.
func (a *API) backup(w http.ResponseWriter, r *http.Request) (err error) {
	file, err := a.s.Upkeep.Backup(r.Context(), web.ActorFrom(r.Context()))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", web.BackupType)
	web.Attach(w.Header(), "steward.backup")
	w.Header().Set("Cache-Control", "no-store")
	_, err = file.WriteTo(w)
	if err = errors.Join(err, file.Close()); err != nil {
		web.LogError(r, a.o.Log, err)
		panic(http.ErrAbortHandler) // the status is sent: only the connection can say so
	}
	return nil
}

func (a *API) restoration(w http.ResponseWriter, r *http.Request) error {
	out, err := a.s.Upkeep.Restoration(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (a *API) restoredRights(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.RestoredRight], error) {
		return a.s.Upkeep.ListRestoredRights(r.Context(), p)
	})
}

func (a *API) reconcile(w http.ResponseWriter, r *http.Request) error {
	var in web.Reconciliation
	if err := readBody(r, &in); err != nil {
		return err
	}
	out, err := a.s.Upkeep.Reconcile(r.Context(), web.ActorFrom(r.Context()), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (a *API) logLevel(w http.ResponseWriter, r *http.Request) error {
	out, err := a.s.Upkeep.LogLevel(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (a *API) setLogLevel(w http.ResponseWriter, r *http.Request) error {
	var in web.LogLevel
	if err := readBody(r, &in); err != nil {
		return err
	}
	out, err := a.s.Upkeep.SetLogLevel(r.Context(), web.ActorFrom(r.Context()), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
