package ui

import (
	"net/http"
	"strconv"

	"steward/web"
)

// A definitionsPage lists the objects that people added.
type definitionsPage struct {
	Definitions []web.ObjectDefinition
	Built       int // versions of objects that the program was made with
}

const definitionsPath = "/objects"

func (u *UI) definitions(w http.ResponseWriter, r *http.Request) error {
	all, err := u.s.Definitions.ObjectDefinitions(r.Context())
	if err != nil {
		return err
	}
	page := definitionsPage{all, len(u.o.Registry.Made().Objects())}
	return u.show(w, r, http.StatusOK, "definitions", "groups", "Objects", page)
}

func (u *UI) addDefinitions(w http.ResponseWriter, r *http.Request) error {
	document, err := uploaded(r, "document")
	var added []web.ObjectDefinition
	if err == nil {
		added, err = u.s.Definitions.AddObjectDefinitions(r.Context(), web.ActorFrom(r.Context()), document)
	}
	return u.done(w, r, err, definitionsPath, plural(len(added), "object")+" known from now on.", definitionsPath)
}

func (u *UI) removeDefinition(w http.ResponseWriter, r *http.Request) error {
	object, err := strconv.ParseUint(r.PostFormValue("object"), 10, 16)
	if err != nil {
		return u.done(w, r, web.Invalid("object", "not the number of an object"), "", "", definitionsPath)
	}
	err = u.s.Definitions.RemoveObjectDefinition(r.Context(), web.ActorFrom(r.Context()), uint16(object),
		r.PostFormValue("version"))
	return u.done(w, r, err, definitionsPath, "Forgotten. Devices that have the object stay readable.", definitionsPath)
}
