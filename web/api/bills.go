package api

import (
	"io"
	"mime"
	"net/http"

	"steward/web"
)

// documents are the media types of what is taken as it is.
var documents = []string{"application/json", "application/vnd.cyclonedx+json", "application/spdx+json", "text/json"}

// readDocument reads a JSON document that somebody else defined.
func readDocument(r *http.Request) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	for _, known := range documents {
		if err == nil && kind == known {
			return io.ReadAll(r.Body) // the route limits it
		}
	}
	return nil, &web.Error{Is: web.ErrMediaType, Detail: "send application/json"}
}

func (a *API) setBill(w http.ResponseWriter, r *http.Request) error {
	document, err := readDocument(r)
	if err != nil {
		return err
	}
	b, err := a.s.Bills.SetBill(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), document)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, b)
}

func (a *API) bill(w http.ResponseWriter, r *http.Request) error {
	document, err := a.s.Bills.Bill(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	return web.WriteFile(w, "application/json", "bill.json", document)
}

func (a *API) parts(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.Part], error) {
		return a.s.Bills.Parts(r.Context(), web.Param(r, "id"), p)
	})
}

func (a *API) findings(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.Finding], error) {
		return a.s.Bills.Findings(r.Context(), web.Param(r, "id"), p)
	})
}

func (a *API) vulnerabilities(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.Vulnerability], error) {
		return a.s.Vulnerabilities.ListVulnerabilities(r.Context(), p)
	})
}

type vulnerabilityLists struct {
	Items web.Array[web.VulnerabilityList] `json:"items"`
}

func (a *API) vulnerabilityLists(w http.ResponseWriter, r *http.Request) error {
	lists, err := a.s.Vulnerabilities.VulnerabilityLists(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, vulnerabilityLists{lists})
}

func (a *API) importVulnerabilities(w http.ResponseWriter, r *http.Request) error {
	document, err := readDocument(r)
	if err != nil {
		return err
	}
	l, err := a.s.Vulnerabilities.ImportVulnerabilities(r.Context(), web.ActorFrom(r.Context()),
		r.URL.Query().Get("name"), document)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, l)
}

func (a *API) removeVulnerabilities(w http.ResponseWriter, r *http.Request) error {
	err := a.s.Vulnerabilities.RemoveVulnerabilities(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"),
		r.URL.Query().Get("reason"))
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) vulnerabilityList(w http.ResponseWriter, r *http.Request) error {
	lists, err := a.s.Vulnerabilities.VulnerabilityLists(r.Context())
	if err != nil {
		return err
	}
	id := web.Param(r, "id")
	return among(w, lists, "list", id, func(l web.VulnerabilityList) bool { return l.ID == id })
}
