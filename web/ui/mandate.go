package ui

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"steward/web"
)

// A mandatePage is the service user's order for a transfer: asked for, or given.
type mandatePage struct {
	Transfer web.TransferDetail
	Mandate  *web.MandateDetail // nil: there is none yet
	Base64   string             // of Mandate, as signed
}

// Draft reports whether the transfer may still be given a mandate.
func (p mandatePage) Draft() bool {
	return p.Transfer.Direction == web.Outgoing && p.Transfer.State == "DRAFT"
}

func (u *UI) mandateRoutes() []route {
	const page = "/transfers/{id}/mandate"
	return []route{
		{method: http.MethodGet, pattern: page, role: web.RoleViewer, handler: u.mandate},
		{method: http.MethodPost, pattern: page, role: web.RoleOperator, handler: u.giveMandate, upload: true},
		{method: http.MethodGet, pattern: page + "/request", role: web.RoleViewer, handler: u.mandateRequest},
	}
}

func (u *UI) mandate(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	t, err := u.s.Transfers.Transfer(r.Context(), id)
	if err != nil {
		return err
	}
	page := mandatePage{Transfer: t}
	m, err := u.s.Mandates.Mandate(r.Context(), id)
	switch {
	case err == nil:
		page.Mandate, page.Base64 = &m, base64.StdEncoding.EncodeToString(m.COSE)
	case !errors.Is(err, web.ErrNotFound):
		return err
	}
	return u.show(w, r, http.StatusOK, "mandate", "transfers", "Mandate", page)
}

// mandateRequest is the file for the service user.
func (u *UI) mandateRequest(w http.ResponseWriter, r *http.Request) error {
	text, err := u.s.Mandates.MandateRequest(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	return web.WriteFile(w, "application/json", "mandate-request.json", text)
}

// giveMandate takes the file that the service user has signed, or its base64.
func (u *UI) giveMandate(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	back := "/transfers/" + url.PathEscape(id) + "/mandate"
	raw, err := readUpload(r, "file")
	if err != nil {
		return &web.Error{Is: web.ErrInvalid, Detail: "not a form", Cause: err}
	}
	if text := strings.Join(strings.Fields(r.PostFormValue("text")), ""); len(raw) == 0 && text != "" {
		if raw, err = base64.StdEncoding.DecodeString(text); err != nil {
			return u.done(w, r, web.Invalid("mandate", "neither a file nor base64 of a COSE_Sign1"), "", "", back)
		}
	}
	_, err = u.s.Mandates.GiveMandate(r.Context(), web.ActorFrom(r.Context()), id, raw)
	return u.done(w, r, err, back, "The mandate is verified. Read below what it allows, then submit the transfer.", back)
}
