package api

import (
	"net/http"
	"slices"

	"steward/web"
)

// certificateRoutes are those of the CA and its inventory.
func (a *API) certificateRoutes() []route {
	return []route{
		{method: http.MethodGet, pattern: "/ca/authorities", role: web.RoleViewer, handler: a.authorities},
		{
			method: http.MethodPost, pattern: "/ca/factory-certificates", role: web.RoleOperator,
			handler: a.importDevices, upload: true,
		},
		{method: http.MethodGet, pattern: "/ca/inventory", role: web.RoleViewer, handler: a.inventory},
		{method: http.MethodGet, pattern: "/ca/certificates", role: web.RoleViewer, handler: a.certificates},
		{method: http.MethodGet, pattern: "/ca/certificates/{id}", role: web.RoleViewer, handler: a.certificate},
		{method: http.MethodPost, pattern: "/ca/certificates/{id}/revoke", role: web.RoleSecurity, handler: a.revoke},
	}
}

type authoritiesView struct {
	Items web.Array[web.CertificateDetail] `json:"items"`
}

func (a *API) authorities(w http.ResponseWriter, r *http.Request) error {
	chain, err := a.s.Certificates.Authorities(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, authoritiesView{chain})
}

func (a *API) inventory(w http.ResponseWriter, r *http.Request) error {
	i, err := a.s.Certificates.Inventory(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, i)
}

func (a *API) certificates(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ParseCertificateFilter(r.URL.Query())
	if err != nil {
		return err
	}
	return listed(w, r, func(p web.Page) (web.List[web.Certificate], error) {
		return a.s.Certificates.ListCertificates(r.Context(), f, p)
	})
}

func (a *API) certificate(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.s.Certificates.Certificate)
}

func (a *API) revoke(w http.ResponseWriter, r *http.Request) error {
	var in web.Revocation
	if err := readBody(r, &in); err != nil {
		return err
	}
	if !slices.Contains(web.RevocationReasons(), in.Reason) {
		return web.Invalid("reason", "not one of those that RFC 5280 lists and we use")
	}
	c, err := a.s.Certificates.Revoke(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, c)
}
