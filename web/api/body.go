package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"

	"steward/web"
)

// readBody reads the JSON body of r into v, strictly: one value of the fields
// that v has. It returns ErrMediaType or ErrInvalid.
func readBody(r *http.Request, v any) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return &web.Error{Is: web.ErrMediaType, Detail: "send application/json"}
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return err
		}
		return &web.Error{Is: web.ErrInvalid, Detail: "body: " + err.Error()}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &web.Error{Is: web.ErrInvalid, Detail: "body: more than one JSON value"}
	}
	return nil
}

// created answers 201 with v, which is found at path from now on.
func created(w http.ResponseWriter, path string, v any) error {
	w.Header().Set("Location", Prefix+path)
	return web.WriteJSON(w, http.StatusCreated, v)
}

// one answers 200 with what get finds for the id in the path.
func one[T any](w http.ResponseWriter, r *http.Request, get func(context.Context, string) (T, error)) error {
	v, err := get(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, v)
}

// listed answers 200 with the part of a list that the query asks for, and a
// Link to the next (RFC 8288).
func listed[T any](w http.ResponseWriter, r *http.Request, get func(web.Page) (web.List[T], error)) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	list, err := get(p)
	if err != nil {
		return err
	}
	if next := web.NextURL(r.URL, list.Next); next != "" {
		w.Header().Set("Link", "<"+next+`>; rel="next"`)
	}
	return web.WriteJSON(w, http.StatusOK, list)
}

// readNamed reads the body of a PUT into in, a pointer to the struct that field is
// in. What the address calls field goes into it; the body may repeat it, no more.
func readNamed[T ~string](r *http.Request, in any, name string, field *T) error {
	if err := readBody(r, in); err != nil {
		return err
	}
	at := T(web.Param(r, name))
	if *field != "" && *field != at {
		return web.Invalid(name, "not the "+name+" in the address")
	}
	*field = at
	return nil
}

// among answers 200 with the one of all that is meant.
func among[T any](w http.ResponseWriter, all []T, what, id string, is func(T) bool) error {
	i := slices.IndexFunc(all, is)
	if i < 0 {
		return web.NotFound(what, id)
	}
	return web.WriteJSON(w, http.StatusOK, all[i])
}
