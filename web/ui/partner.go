package ui

import (
	"net/http"
	"net/url"
	"strconv"

	"steward/web"
)

// partner shows whom we know, what it may ask of us, and which devices trust its keys.
func (u *UI) partner(w http.ResponseWriter, r *http.Request) error {
	p, err := u.s.Partners.Partner(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	name := p.Label
	if name == "" {
		name = p.Name
	}
	return u.show(w, r, http.StatusOK, "partner", "transfers", "Partner "+name, p)
}

func (u *UI) setPartnerLimits(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	page := "/partners/" + url.PathEscape(id)
	l := web.PartnerLimits{Reason: r.PostFormValue("reason")}
	for name, to := range map[string]*int{"devices": &l.Devices, "daily": &l.Daily, "open": &l.Open, "calls": &l.Calls} {
		text := r.PostFormValue(name)
		if text == "" {
			continue // the default
		}
		var err error
		if *to, err = strconv.Atoi(text); err != nil || *to < 0 {
			return u.done(w, r, web.Invalid(name, "a number"), "", "", page)
		}
	}
	_, err := u.s.Partners.SetPartnerLimits(r.Context(), web.ActorFrom(r.Context()), id, l)
	return u.done(w, r, err, page, "The limits are set.", page)
}
