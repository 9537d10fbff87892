package ui

import (
	"net/http"
	"net/url"
	"strconv"

	"steward/web"
)

// A releasePage is one release: what it is, who decided about it, and what is known
// against its parts.
type releasePage struct {
	web.ReleaseDetail

	Known []web.Finding
	Next  string // address of the next part of Known; "" on the last
}

func releasePath(id string) string { return "/updates/releases/" + url.PathEscape(id) }

func (u *UI) release(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	release, err := u.s.Releases.Release(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	findings, err := u.s.Bills.Findings(r.Context(), release.ID, p)
	if err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "release", "updates", release.Name,
		releasePage{release, findings.Items, web.NextURL(r.URL, findings.Next)})
}

// A partsPage is the bill of materials of a release.
type partsPage struct {
	web.Release

	Parts []web.Part
	Next  string // address of the next part; "" on the last
}

func (u *UI) parts(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	release, err := u.s.Releases.Release(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	parts, err := u.s.Bills.Parts(r.Context(), release.ID, p)
	if err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "parts_of", "updates", release.Name,
		partsPage{release.Release, parts.Items, web.NextURL(r.URL, parts.Next)})
}

// bill hands out the bill as it was uploaded.
func (u *UI) bill(w http.ResponseWriter, r *http.Request) error {
	document, err := u.s.Bills.Bill(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	return web.WriteFile(w, "application/json", "bill.json", document)
}

func (u *UI) setBill(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	document, err := uploaded(r, "bill")
	var b web.BillSummary
	if err == nil {
		b, err = u.s.Bills.SetBill(r.Context(), web.ActorFrom(r.Context()), id, document)
	}
	said := plural(b.Parts, "part") + " read, " + strconv.Itoa(b.Findings["affected"]) + " affected findings."
	return u.done(w, r, err, releasePath(id), said, releasePath(id))
}

func (u *UI) decideRelease(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	c := web.ReleaseCommand{
		Action: web.ReleaseAction(r.PostFormValue("action")), Reason: r.PostFormValue("reason"),
	}
	said := "Approved. Campaigns can deliver it."
	if c.Action == web.ReleaseWithdraw {
		said = "Withdrawn. Nothing more of it is sent; devices that already install will finish."
	}
	_, err := u.s.Releases.DecideRelease(r.Context(), web.ActorFrom(r.Context()), id, c)
	return u.done(w, r, err, releasePath(id), said, releasePath(id))
}

// addRelease takes an image, for which a manifest is authored and signed, or an
// envelope that is signed already.
func (u *UI) addRelease(w http.ResponseWriter, r *http.Request) error {
	// Beyond this much the form goes to disk.
	if err := r.ParseMultipartForm(web.MaxForm); err != nil { //nolint:gosec // G120: the route limits the body
		return &web.Error{Is: web.ErrInvalid, Detail: "not a form with a file", Cause: err}
	}
	release := web.NewRelease{
		Name: r.PostFormValue("name"), Version: r.PostFormValue("version"),
		Vendor: r.PostFormValue("vendor"), Class: r.PostFormValue("class"),
		Secret: r.PostFormValue("secret") != "", Staging: r.PostFormValue("staging"),
	}
	var added web.Release
	err := fillRelease(r, &release)
	if err == nil {
		added, err = u.s.Releases.AddRelease(r.Context(), web.ActorFrom(r.Context()), release)
	}
	return u.done(w, r, err, releasePath(added.ID), "Added. Approve it, and campaigns can deliver it.", "/updates")
}

func fillRelease(r *http.Request, release *web.NewRelease) (err error) {
	if text := r.PostFormValue("sequence"); text != "" {
		if release.Sequence, err = strconv.ParseUint(text, 10, 64); err != nil {
			return web.Invalid("sequence", "a whole number")
		}
	}
	if release.Envelope, err = readUpload(r, "envelope"); err != nil {
		return err
	}
	if release.Image, err = readUpload(r, "image"); err != nil {
		return err
	}
	if release.Envelope == nil && release.Image == nil {
		return web.Invalid("image", "choose an image, or an envelope")
	}
	return nil
}
