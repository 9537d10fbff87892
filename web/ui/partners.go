package ui

import (
	"encoding/json"
	"net/http"

	"steward/web"
)

// A partnersPage lists whom we know.
type partnersPage struct {
	Partners []web.Partner
	Next     string           // address of the next part; "" on the last
	Own      web.IdentityKeys // for the other side to compare; zero without a hand-over
}

func (u *UI) partners(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	list, err := u.s.Partners.ListPartners(r.Context(), p)
	if err != nil {
		return err
	}
	page := partnersPage{Partners: list.Items, Next: web.NextURL(r.URL, list.Next)}
	if body, err := u.s.Partners.Identity(r.Context()); err == nil { // there is none where the hand-over is off
		page.Own, _ = web.KeysOf(body)
	}
	return u.show(w, r, http.StatusOK, "partners", "transfers", "Partners", page)
}

func (u *UI) addPartner(w http.ResponseWriter, r *http.Request) error {
	identity := json.RawMessage(r.PostFormValue("identity"))
	if !json.Valid(identity) {
		return u.done(w, r, web.Invalid("identity", "not JSON"), "", "", "/partners")
	}
	p, err := u.s.Partners.AddPartner(r.Context(), web.ActorFrom(r.Context()),
		web.NewPartner{Identity: identity, Label: r.PostFormValue("label")})
	return u.done(w, r, err, "/partners", p.Name+" is pinned.", "/partners")
}

// identity hands out our own identity file.
func (u *UI) identity(w http.ResponseWriter, r *http.Request) error {
	body, err := u.s.Partners.Identity(r.Context())
	if err != nil {
		return err
	}
	web.Attach(w.Header(), "identity.json")
	return web.WriteJSON(w, http.StatusOK, body)
}

func (u *UI) setPartnerState(w http.ResponseWriter, r *http.Request) error {
	p, err := u.s.Partners.SetPartnerState(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"),
		web.PartnerChange{State: web.PartnerState(r.PostFormValue("state")), Reason: r.PostFormValue("reason")})
	return u.done(w, r, err, "/partners", p.Name+" is now "+words(p.State)+".", "/partners")
}
