package ui

import (
	"net/http"
	"strconv"
	"strings"

	"steward/web"
)

// A vulnerabilitiesPage lists what is known against parts of releases.
type vulnerabilitiesPage struct {
	Vulnerabilities []web.Vulnerability
	Lists           []web.VulnerabilityList
	Next            string // address of the next part; "" on the last
}

func (u *UI) vulnerabilities(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	list, err := u.s.Vulnerabilities.ListVulnerabilities(r.Context(), p)
	if err != nil {
		return err
	}
	lists, err := u.s.Vulnerabilities.VulnerabilityLists(r.Context())
	if err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "vulnerabilities", "updates", "Vulnerabilities",
		vulnerabilitiesPage{list.Items, lists, web.NextURL(r.URL, list.Next)})
}

const vulnerabilitiesPath = "/updates/vulnerabilities"

func (u *UI) importVulnerabilities(w http.ResponseWriter, r *http.Request) error {
	document, err := uploaded(r, "list")
	var l web.VulnerabilityList
	if err == nil {
		l, err = u.s.Vulnerabilities.ImportVulnerabilities(r.Context(), web.ActorFrom(r.Context()),
			strings.TrimSpace(r.PostFormValue("name")), document)
	}
	said := "Imported; " + strconv.Itoa(l.Count) + " known, compared with every bill."
	return u.done(w, r, err, vulnerabilitiesPath, said, vulnerabilitiesPath)
}

// uploaded returns the file of a form that needs one.
func uploaded(r *http.Request, field string) ([]byte, error) {
	// Beyond this much the form goes to disk.
	if err := r.ParseMultipartForm(web.MaxForm); err != nil { //nolint:gosec // G120: the route limits the body
		return nil, &web.Error{Is: web.ErrInvalid, Detail: "not a form with a file", Cause: err}
	}
	document, err := readUpload(r, field)
	if err == nil && document == nil {
		err = web.Invalid(field, "choose a file")
	}
	return document, err
}

func (u *UI) removeVulnerabilities(w http.ResponseWriter, r *http.Request) error {
	err := u.s.Vulnerabilities.RemoveVulnerabilities(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"),
		r.PostFormValue("reason"))
	return u.done(w, r, err, vulnerabilitiesPath, "Removed.", vulnerabilitiesPath)
}
