package ui

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"steward/web"
)

// The steps of the wizard that drafts a hand-over. All that was chosen stands in the
// address, so that nothing is lost by going back, by a refresh, or by closing the page.
const (
	stepDevices = 1 + iota
	stepPartner
	stepTerms
	stepReview
)

// wizardFields are what the wizard asks for beside the devices.
//
//nolint:gochecknoglobals // a constant
var wizardFields = []string{"partner", "earliest", "latest", "note", "mandate", "verifier", "last_update", "rehearse"}

// A newTransferPage is one step of the wizard.
type newTransferPage struct {
	Step     int
	Values   url.Values // all that was chosen
	Partners []web.Partner
	Groups   []web.Group
	Devices  choices
	Chosen   []web.Device // for the review, some of them
	Total    int
	Error    string // why the draft was refused; "" at first
}

// Get returns what was typed.
func (p newTransferPage) Get(name string) string { return p.Values.Get(name) }

// Named are the devices that were ticked.
func (p newTransferPage) Named() []string { return p.Values["device"] }

// PartnerName is the chosen partner as people call it.
func (p newTransferPage) PartnerName() string {
	for _, x := range p.Partners {
		if x.ID == p.Get("partner") && x.Label != "" {
			return x.Label
		} else if x.ID == p.Get("partner") {
			return x.Name
		}
	}
	return ""
}

const inputTime = "2006-01-02T15:04" // what <input type=datetime-local> sends

func (u *UI) newTransfer(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	now := u.o.Now().UTC()
	values := url.Values{"device": q["device"]}
	for name, otherwise := range map[string]string{
		"earliest": now.Format(inputTime), "latest": now.AddDate(0, 0, 7).Format(inputTime),
	} {
		values.Set(name, otherwise)
	}
	for _, name := range append(slices.Clone(wizardFields), "scope", "filter") {
		if q.Has(name) {
			values.Set(name, q.Get(name))
		}
	}
	if g := q.Get("group"); g != "" { // takes the place of what was ticked
		values.Set("scope", "all")
		values.Set("filter", url.Values{"group": {g}}.Encode())
		values.Del("device")
	}
	step := stepDevices
	if len(values["device"]) > 0 || values.Get("scope") == "all" {
		step = stepPartner
	}
	n, err := strconv.Atoi(q.Get("step"))
	if err == nil && n >= stepDevices && n <= stepReview && step == stepPartner { // else devices come first
		step = n
	}
	return u.showNewTransfer(w, r, http.StatusOK, newTransferPage{Step: step, Values: values})
}

func (u *UI) showNewTransfer(w http.ResponseWriter, r *http.Request, status int, page newTransferPage) error {
	partners, err := u.s.Partners.ListPartners(r.Context(), web.Page{Size: web.MaxPageSize})
	if err != nil {
		return err
	}
	page.Partners = slices.DeleteFunc(partners.Items, func(p web.Partner) bool { return p.Kind != "provider" })
	if page.Groups, err = optional(u.s.Groups.Groups(r.Context())); err != nil {
		return err
	}
	devices, ids, all, err := u.filtered(r, page.Values)
	if refusedInput(err) {
		page.Step, page.Error = stepDevices, problemOf(r, err)
		page.Values.Del("scope")
		page.Values.Del("filter")
		all, err = false, nil
	}
	if err != nil {
		return err
	}
	if !all {
		if devices, err = u.choices(r, page.Named()); err != nil {
			return err
		}
		for _, c := range devices.List {
			if c.Chosen {
				page.Chosen = append(page.Chosen, c.Device)
			}
		}
	}
	page.Devices, page.Total = devices, max(len(ids), len(page.Chosen))
	return u.show(w, r, status, "transfer_new", "transfers", "Hand devices over", page)
}

// problemOf says in words why a request was refused.
func problemOf(r *http.Request, err error) string {
	why, _ := reason(r, err)
	return why
}

func (u *UI) draftTransfer(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return &web.Error{Is: web.ErrInvalid, Detail: "not a form", Cause: err}
	}
	page := newTransferPage{Step: stepReview, Values: r.PostForm}
	form, err := page.parse()
	if _, ids, all, wrong := u.filtered(r, r.PostForm); all && err == nil {
		form.Devices, err = ids, wrong
	}
	var t web.Transfer
	if err == nil {
		t, err = u.s.Transfers.Draft(r.Context(), web.ActorFrom(r.Context()), form)
	}
	if refusedInput(err) {
		page.Error = problemOf(r, err)
		return u.showNewTransfer(w, r, http.StatusUnprocessableEntity, page)
	}
	said := "Drafted. Nothing leaves before you submit it."
	if err == nil && r.PostForm.Get("then") == "submit" {
		command := web.TransferCommand{Action: web.TransferSubmit}
		if _, err := u.s.Transfers.Command(r.Context(), web.ActorFrom(r.Context()), t.ID, command); err != nil {
			return u.done(w, r, err, "", "", "/transfers/"+t.ID) // the draft is there
		}
		said = "Submitted. The partner is asked now; nothing leaves before both sides approve."
	}
	return u.done(w, r, err, "/transfers/"+t.ID, said, "/transfers/new")
}

// parse reads what was chosen.
func (p newTransferPage) parse() (form web.NewTransfer, err error) {
	form = web.NewTransfer{
		Partner: p.Get("partner"), Devices: p.Named(), Note: strings.TrimSpace(p.Get("note")),
		Verifier: p.Get("verifier"), LastUpdate: p.Get("last_update"), Rehearse: p.Get("rehearse") != "",
	}
	if form.Earliest, err = parseInputTime("earliest", p.Get("earliest")); err != nil {
		return form, err
	}
	if form.Latest, err = parseInputTime("latest", p.Get("latest")); err != nil {
		return form, err
	}
	if text := strings.Join(strings.Fields(p.Get("mandate")), ""); text != "" {
		if form.Mandate, err = base64.StdEncoding.DecodeString(text); err != nil {
			return form, web.Invalid("mandate", "base64 of a COSE_Sign1")
		}
	}
	return form, nil
}

// parseInputTime reads a time of a form, in UTC; "" is the zero time.
func parseInputTime(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(inputTime, text)
	if err != nil {
		return time.Time{}, web.Invalid(field, "a time such as 2026-03-01T12:00")
	}
	return t, nil
}
