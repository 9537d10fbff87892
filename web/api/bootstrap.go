package api

import (
	"net/http"

	"steward/web"
)

func (a *API) bootstrapRoutes() []route {
	const get, put, del = http.MethodGet, http.MethodPut, http.MethodDelete
	return []route{
		{method: get, pattern: "/bootstrap-profiles", role: web.RoleViewer, handler: a.profiles},
		{method: get, pattern: "/bootstrap-profiles/{name}", role: web.RoleViewer, handler: a.profile},
		{method: put, pattern: "/bootstrap-profiles/{name}", role: web.RoleSecurity, handler: a.putProfile},
		{method: del, pattern: "/bootstrap-profiles/{name}", role: web.RoleSecurity, handler: a.removeProfile},
		{method: get, pattern: "/devices/{id}/keys", role: web.RoleViewer, handler: a.deviceKeys},
		{method: get, pattern: "/devices/{id}/keys/{use}", role: web.RoleViewer, handler: a.deviceKey},
		{method: put, pattern: "/devices/{id}/keys/{use}", role: web.RoleSecurity, handler: a.putDeviceKey},
		{method: del, pattern: "/devices/{id}/keys/{use}", role: web.RoleSecurity, handler: a.removeDeviceKey},
	}
}

type profilesView struct {
	Items web.Array[web.BootstrapProfile] `json:"items"`
}

func (a *API) profiles(w http.ResponseWriter, r *http.Request) error {
	all, err := a.s.Bootstraps.BootstrapProfiles(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, profilesView{all})
}

func (a *API) putProfile(w http.ResponseWriter, r *http.Request) error {
	var in web.BootstrapProfile
	if err := readNamed(r, &in, "name", &in.Name); err != nil {
		return err
	}
	p, err := a.s.Bootstraps.PutBootstrapProfile(r.Context(), web.ActorFrom(r.Context()), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, p)
}

func (a *API) removeProfile(w http.ResponseWriter, r *http.Request) error {
	err := a.s.Bootstraps.RemoveBootstrapProfile(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "name"))
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) deviceKeys(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.s.Bootstraps.DeviceKeys)
}

func (a *API) deviceKey(w http.ResponseWriter, r *http.Request) error {
	all, err := a.s.Bootstraps.DeviceKeys(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	use := web.Param(r, "use")
	return among(w, all.Keys, "key", use, func(k web.DeviceKey) bool { return string(k.Use) == use })
}

func (a *API) putDeviceKey(w http.ResponseWriter, r *http.Request) error {
	var in web.NewDeviceKey
	if err := readNamed(r, &in, "use", &in.Use); err != nil {
		return err
	}
	k, err := a.s.Bootstraps.PutDeviceKey(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, k)
}

func (a *API) removeDeviceKey(w http.ResponseWriter, r *http.Request) error {
	k, err := a.s.Bootstraps.RemoveDeviceKey(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"),
		web.KeyUse(web.Param(r, "use")))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, k)
}

func (a *API) profile(w http.ResponseWriter, r *http.Request) error {
	all, err := a.s.Bootstraps.BootstrapProfiles(r.Context())
	if err != nil {
		return err
	}
	name := web.Param(r, "name")
	return among(w, all, "profile", name, func(p web.BootstrapProfile) bool { return p.Name == name })
}
