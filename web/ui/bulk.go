package ui

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"steward/web"
)

// A bulkForm is the form that does one thing to many devices, as it was filled in.
type bulkForm struct {
	web.NewBulk

	Confirm string
}

// readBulk reads a bulkForm from values: of the inventory, or of the form itself.
func readBulk(v url.Values) bulkForm {
	f := bulkForm{
		NewBulk: web.NewBulk{
			Action: web.BulkAction(v.Get("action")), Tag: strings.TrimSpace(v.Get("tag_name")), Group: v.Get("group_name"),
			Path: strings.TrimSpace(v.Get("path")), Value: v.Get("value"), Arguments: strings.TrimSpace(v.Get("arguments")),
			Reason: strings.TrimSpace(v.Get("reason")),
		},
		Confirm: strings.TrimSpace(v.Get("confirm")),
	}
	if v.Get("scope") == "all" {
		f.Filter, f.All = v.Get("filter"), true
	} else {
		f.Devices = v["device"]
	}
	return f
}

// A newBulkPage asks what to do, and says to whom.
type newBulkPage struct {
	Form    bulkForm
	Actions []web.BulkAction // that the person may choose
	Groups  []web.Group      // static ones
	Preview web.BulkPreview
	Error   string // why the form was refused; "" at first
}

func (u *UI) newBulk(w http.ResponseWriter, r *http.Request) error {
	form := readBulk(r.URL.Query())
	switch form.Action { // what is wanted most
	case web.BulkExecute:
		form.Path = "/3/0/4"
	case web.BulkWrite:
		form.Path = "/1/0/1"
	case web.BulkRead:
		form.Path = "/3/0"
	default:
	}
	return u.showNewBulk(w, r, http.StatusOK, form, "")
}

func (u *UI) showNewBulk(w http.ResponseWriter, r *http.Request, status int, form bulkForm, why string) error {
	actor := web.ActorFrom(r.Context())
	preview, err := u.s.Bulks.PreviewBulk(r.Context(), actor, web.NewBulk{
		Devices: form.Devices, Filter: form.Filter, All: form.All,
	})
	if err != nil {
		if !refusedInput(err) {
			return err
		}
		return u.done(w, r, err, "", "", "/devices?"+queryOf(form.Filter))
	}
	page := newBulkPage{Form: form, Preview: preview, Error: why}
	for _, a := range web.BulkActions() {
		if actor.Role.Includes(a.RoleFor()) {
			page.Actions = append(page.Actions, a)
		}
	}
	groups, err := optional(u.s.Groups.Groups(r.Context()))
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.Kind == web.GroupStatic {
			page.Groups = append(page.Groups, g)
		}
	}
	return u.show(w, r, status, "bulk_new", "devices", "Many devices", page)
}

// startBulk begins it. What cannot be taken back asks for the number of devices to be
// typed, as it is now.
func (u *UI) startBulk(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return &web.Error{Is: web.ErrInvalid, Detail: "not a form", Cause: err}
	}
	form, actor := readBulk(r.PostForm), web.ActorFrom(r.Context())
	preview, err := u.s.Bulks.PreviewBulk(r.Context(), actor, form.NewBulk)
	if err == nil && form.Action.Destructive() && form.Confirm != strconv.Itoa(preview.Total) {
		err = web.Invalid("confirm", "type the number of devices: "+strconv.Itoa(preview.Total))
	}
	var b web.Bulk
	if err == nil {
		b, err = u.s.Bulks.StartBulk(r.Context(), actor, form.NewBulk)
	}
	if refusedInput(err) {
		why, _ := reason(r, err)
		return u.showNewBulk(w, r, http.StatusUnprocessableEntity, form, why)
	}
	return u.done(w, r, err, "/bulk/"+b.ID, "It has begun.", "/devices")
}

// decideBulk approves or rejects one that waits for another person.
func (u *UI) decideBulk(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	back := "/bulk/" + url.PathEscape(id)
	d := web.BulkDecision{
		Action: web.BulkDecisionAction(r.PostFormValue("action")), Reason: strings.TrimSpace(r.PostFormValue("reason")),
	}
	_, err := u.s.Bulks.DecideBulk(r.Context(), web.ActorFrom(r.Context()), id, d)
	return u.done(w, r, err, back, "Decided: "+string(d.Action)+".", back)
}

// A bulksPage lists what was done to many devices.
type bulksPage struct {
	Bulks []web.Bulk
	Next  string
}

func (u *UI) bulks(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	list, err := u.s.Bulks.ListBulks(r.Context(), p)
	if err != nil {
		return err
	}
	page := bulksPage{list.Items, web.NextURL(r.URL, list.Next)}
	return u.show(w, r, http.StatusOK, "bulks", "devices", "Bulk actions", page)
}

// A bulkPage is one of them with what became of its devices.
type bulkPage struct {
	web.Bulk

	Filter  web.BulkFilter
	Results []web.BulkResult
	Next    string
}

func (u *UI) bulk(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	b, err := u.s.Bulks.Bulk(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	f := web.BulkFilter{State: r.URL.Query().Get("state")}
	list, err := u.s.Bulks.BulkResults(r.Context(), b.ID, f, p)
	if err != nil {
		return err
	}
	page := bulkPage{b, f, list.Items, web.NextURL(r.URL, list.Next)}
	return u.show(w, r, http.StatusOK, "bulk", "devices", "Bulk action", page)
}
