package api

import (
	"net/http"
	"strconv"

	"steward/web"
)

func (a *API) definitionRoutes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	return []route{
		{method: get, pattern: "/object-definitions", role: web.RoleViewer, handler: a.definitions},
		{method: post, pattern: "/object-definitions", role: web.RoleAdmin, handler: a.addDefinitions, upload: true},
		{
			method: get, pattern: "/object-definitions/{object}/{version}", role: web.RoleViewer,
			handler: a.definition,
		},
		{
			method: del, pattern: "/object-definitions/{object}/{version}", role: web.RoleAdmin,
			handler: a.removeDefinition,
		},
	}
}

type definitionsView struct {
	Items web.Array[web.ObjectDefinition] `json:"items"`
}

func (a *API) definitions(w http.ResponseWriter, r *http.Request) error {
	all, err := a.s.Definitions.ObjectDefinitions(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, definitionsView{all})
}

type definitionIn struct {
	Document string `json:"document"` // XML
}

func (a *API) addDefinitions(w http.ResponseWriter, r *http.Request) error {
	var in definitionIn
	if err := readBody(r, &in); err != nil {
		return err
	}
	all, err := a.s.Definitions.AddObjectDefinitions(r.Context(), web.ActorFrom(r.Context()), []byte(in.Document))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, definitionsView{all})
}

func (a *API) removeDefinition(w http.ResponseWriter, r *http.Request) error {
	object, err := strconv.ParseUint(web.Param(r, "object"), 10, 16)
	if err != nil {
		return web.Invalid("object", "not the number of an object")
	}
	err = a.s.Definitions.RemoveObjectDefinition(r.Context(), web.ActorFrom(r.Context()), uint16(object),
		web.Param(r, "version"))
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) definition(w http.ResponseWriter, r *http.Request) error {
	all, err := a.s.Definitions.ObjectDefinitions(r.Context())
	if err != nil {
		return err
	}
	object, version := web.Param(r, "object"), web.Param(r, "version")
	return among(w, all, "definition", object+" "+version, func(d web.ObjectDefinition) bool {
		return strconv.Itoa(int(d.Object)) == object && d.Version == version
	})
}
