package api

import (
	"net/http"

	"steward/web"
)

func (a *API) groupRoutes() []route {
	const get, put, post, del = http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete
	return []route{
		{method: get, pattern: "/groups", role: web.RoleViewer, handler: a.groups},
		{method: get, pattern: "/groups/{name}", role: web.RoleViewer, handler: a.group},
		{method: put, pattern: "/groups/{name}", role: web.RoleOperator, handler: a.putGroup},
		{method: del, pattern: "/groups/{name}", role: web.RoleOperator, handler: a.removeGroup},
		{
			method: post, pattern: "/groups/{name}/members", role: web.RoleOperator, handler: a.changeMembers,
			upload: true,
		},
	}
}

type groupsView struct {
	Items web.Array[web.Group] `json:"items"`
}

func (a *API) groups(w http.ResponseWriter, r *http.Request) error {
	all, err := a.s.Groups.Groups(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, groupsView{all})
}

func (a *API) group(w http.ResponseWriter, r *http.Request) error {
	g, err := a.s.Groups.Group(r.Context(), web.Param(r, "name"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, g)
}

type groupIn struct {
	Name        string        `json:"name"`
	Kind        web.GroupKind `json:"kind"`
	Filter      string        `json:"filter"`
	Description string        `json:"description"`
}

func (a *API) putGroup(w http.ResponseWriter, r *http.Request) error {
	var in groupIn
	if err := readNamed(r, &in, "name", &in.Name); err != nil {
		return err
	}
	g, err := a.s.Groups.PutGroup(r.Context(), web.ActorFrom(r.Context()), web.Group{
		Name: in.Name, Kind: in.Kind, Filter: in.Filter, Description: in.Description,
	})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, g)
}

func (a *API) removeGroup(w http.ResponseWriter, r *http.Request) error {
	err := a.s.Groups.RemoveGroup(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "name"))
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) changeMembers(w http.ResponseWriter, r *http.Request) error {
	var in web.MemberChange
	if err := readBody(r, &in); err != nil {
		return err
	}
	g, err := a.s.Groups.ChangeMembers(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "name"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, g)
}
