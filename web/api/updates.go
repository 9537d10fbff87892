package api

import (
	"net/http"

	"steward/web"
)

func (a *API) releases(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.Release], error) {
		return a.s.Releases.ListReleases(r.Context(), p)
	})
}

func (a *API) release(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.s.Releases.Release)
}

func (a *API) addRelease(w http.ResponseWriter, r *http.Request) error {
	var in web.NewRelease
	if err := readBody(r, &in); err != nil {
		return err
	}
	if len(in.Envelope) == 0 && len(in.Image) == 0 {
		return web.Invalid("image", "give an image, or an envelope")
	}
	release, err := a.s.Releases.AddRelease(r.Context(), web.ActorFrom(r.Context()), in)
	if err != nil {
		return err
	}
	return created(w, "/releases/"+release.ID, release)
}

func (a *API) decideRelease(w http.ResponseWriter, r *http.Request) error {
	var in web.ReleaseCommand
	if err := readBody(r, &in); err != nil {
		return err
	}
	release, err := a.s.Releases.DecideRelease(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, release)
}
