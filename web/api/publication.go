package api

import (
	"net/http"

	"steward/web"
)

// publicationRoutes are those of what the world is told about revocation.
func (a *API) publicationRoutes() []route {
	return []route{{method: http.MethodGet, pattern: "/ca/publication", role: web.RoleViewer, handler: a.publication}}
}

func (a *API) publication(w http.ResponseWriter, r *http.Request) error {
	p, err := a.s.Publication.Publication(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, p)
}
