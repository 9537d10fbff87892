package ui

import (
	"net/http"
	"strings"

	"steward/web"
)

// A renewalsPage lists devices by how their renewal stands.
type renewalsPage struct {
	State  string
	States []string
	List   []web.DeviceEnrolment
	Next   string // address of the next part; "" for the last
}

func (u *UI) renewals(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	page := renewalsPage{
		State: r.URL.Query().Get("state"), States: []string{"failed", "expired", "due", "asked", "renewed", "revoked"},
	}
	if page.State == "" {
		page.State = page.States[0]
	}
	all, err := u.s.Enrolments.ListEnrolments(r.Context(), page.State, p)
	if err != nil {
		return err
	}
	page.List, page.Next = all.Items, web.NextURL(r.URL, all.Next)
	return u.show(w, r, http.StatusOK, "renewals", "certificates", "Renewals", page)
}

// orderEnrolment has a device renew or re-key now.
func (u *UI) orderEnrolment(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	back := "/devices/" + id
	e, err := u.s.Enrolments.OrderEnrolment(r.Context(), web.ActorFrom(r.Context()), id, web.EnrolmentOrder{
		Action: r.PostFormValue("action"), Reason: strings.TrimSpace(r.PostFormValue("reason")),
	})
	said := "The device will be asked to renew its certificate as soon as it listens."
	if e.Request == "rekey" {
		said = "The device will be asked for a new factory key as soon as it listens."
	}
	return u.done(w, r, err, back+"#renewal", said, back)
}

// attest has a device prove now what it runs.
func (u *UI) attest(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	back := "/devices/" + id
	a, err := u.s.Attestations.Attest(r.Context(), web.ActorFrom(r.Context()), id)
	said := "The device was asked."
	if len(a.Verdicts) > 0 {
		said = "The verdict is " + a.Verdicts[0].Tier + ": " + a.Verdicts[0].Reason + "."
	}
	return u.done(w, r, err, back+"#attestation", said, back)
}

// renewalWords say what the state of an enrolment means for people.
var renewalWords = map[string]string{
	"none":    "no certificate yet",
	"good":    "in use",
	"due":     "to be renewed",
	"asked":   "renewing",
	"renewed": "renewed, not in use yet",
	"failed":  "renewal fails",
	"expired": "expired",
	"revoked": "revoked",
	"left":    "handed over",
}

// renewalPill shows the state of an enrolment.
func renewalPill(state string) pill {
	level := map[string]web.Level{
		"good": web.LevelGood, "due": web.LevelActive, "asked": web.LevelActive, "renewed": web.LevelActive,
		"failed": web.LevelWarning, "expired": web.LevelBad, "revoked": web.LevelBad,
	}[state]
	text := renewalWords[state]
	if text == "" {
		text = state
	}
	return newPill(level, text)
}
