package ui

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"steward/web"
)

// A groupsPage lists groups and what is wanted of devices.
type groupsPage struct {
	Groups    []web.Group
	Templates []web.ObservationTemplate
	Profiles  []web.BootstrapProfile
	Form      web.Group // as it was filled in
	Error     string    // why the form was refused; "" at first
}

func (u *UI) groups(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	form := web.Group{Kind: web.GroupDynamic, Filter: q.Get("filter"), Name: q.Get("name")}
	return u.showGroups(w, r, http.StatusOK, form, "")
}

func (u *UI) showGroups(w http.ResponseWriter, r *http.Request, status int, form web.Group, why string) (err error) {
	page := groupsPage{Form: form, Error: why}
	if page.Groups, err = u.s.Groups.Groups(r.Context()); err != nil {
		return err
	}
	if page.Templates, err = optional(u.s.Observations.ObservationTemplates(r.Context())); err != nil {
		return err
	}
	if page.Profiles, err = optional(u.s.Bootstraps.BootstrapProfiles(r.Context())); err != nil {
		return err
	}
	return u.show(w, r, status, "groups", "groups", "Groups & templates", page)
}

func (u *UI) putGroup(w http.ResponseWriter, r *http.Request) error {
	form := web.Group{
		Name: strings.TrimSpace(r.PostFormValue("name")), Kind: web.GroupKind(r.PostFormValue("kind")),
		Filter: strings.TrimSpace(r.PostFormValue("filter")), Description: strings.TrimSpace(r.PostFormValue("description")),
	}
	if at := strings.IndexByte(form.Filter, '?'); at >= 0 { // an address of the inventory was pasted
		form.Filter = form.Filter[at+1:]
	}
	form.Filter = withoutEmpty(form.Filter)
	if form.Kind == web.GroupStatic {
		form.Filter = ""
	}
	g, err := u.s.Groups.PutGroup(r.Context(), web.ActorFrom(r.Context()), form)
	if refusedInput(err) {
		why, _ := reason(r, err)
		return u.showGroups(w, r, http.StatusUnprocessableEntity, form, why)
	}
	return u.done(w, r, err, groupPath(g.Name), "The group "+g.Name+" is stored.", "/groups")
}

// withoutEmpty drops from the query of an address what forms send empty, and what only
// says how the list is shown. What cannot be read stays for the service to refuse.
func withoutEmpty(query string) string {
	q, err := url.ParseQuery(query)
	if err != nil {
		return query
	}
	for name, values := range q {
		if len(values) == 1 && values[0] == "" || slices.Contains([]string{"columns", "sort", "page_token"}, name) {
			q.Del(name)
		}
	}
	return q.Encode()
}

// groupPath is the address of a group's page.
func groupPath(name string) string { return "/groups/" + url.PathEscape(name) }

func (u *UI) removeGroup(w http.ResponseWriter, r *http.Request) error {
	name := web.Param(r, "name")
	if r.PostFormValue("confirm") != name {
		err := web.Invalid("confirm", "type the name of the group")
		return u.done(w, r, err, "", "", groupPath(name))
	}
	err := u.s.Groups.RemoveGroup(r.Context(), web.ActorFrom(r.Context()), name)
	return u.done(w, r, err, "/groups", "The group is gone; its devices are still there.", groupPath(name))
}

// A groupPage is one group: its devices, what is wanted of each, and how far it is
// from that.
type groupPage struct {
	web.Group

	Query    string // that lists its devices
	Members  []groupMember
	Next     string
	Drifting int // of those that this page shows
}

// A groupMember is a device of a group as it is wanted to be.
type groupMember struct {
	web.Device

	Profile string   // of its bootstrap; "" for none
	Wanted  int      // observations
	Drift   []string // what is not as it is wanted, and why
}

// groupRows is how many devices a page compares: each costs some look-ups.
const groupRows = 25

func (u *UI) group(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	p.Size = min(p.Size, groupRows)
	g, err := u.s.Groups.Group(r.Context(), web.Param(r, "name"))
	if err != nil {
		return err
	}
	f := web.DeviceFilter{Group: g.Name}
	list, err := u.s.Devices.ListDevices(r.Context(), f, p)
	if err != nil {
		return err
	}
	profiles, err := optional(u.s.Bootstraps.BootstrapProfiles(r.Context()))
	if err != nil {
		return err
	}
	page := groupPage{Group: g, Query: f.Query().Encode(), Next: web.NextURL(r.URL, list.Next)}
	for _, d := range list.Items {
		m, err := u.member(r, d, profiles)
		if err != nil {
			return err
		}
		if len(m.Drift) > 0 {
			page.Drifting++
		}
		page.Members = append(page.Members, m)
	}
	return u.show(w, r, http.StatusOK, "group", "groups", g.Name, page)
}

// member compares a device with what is wanted of it.
func (u *UI) member(r *http.Request, d web.Device, profiles []web.BootstrapProfile) (groupMember, error) {
	m := groupMember{Device: d, Profile: profileOf(d.Tags, profiles)}
	all, err := optional(u.s.Observations.DeviceObservations(r.Context(), d.ID))
	if err != nil {
		return m, err
	}
	for _, o := range all {
		if o.State != "unwanted" {
			m.Wanted++
		}
		if o.Drift {
			text := o.String() + ": " + o.State
			if o.Reason != "" {
				text += ", " + o.Reason
			}
			m.Drift = append(m.Drift, text)
		}
	}
	return m, nil
}

// profileOf returns the name of the profile that a device with those tags gets: that
// for the first of them that has one, else that for all others, "" for none.
func profileOf(tags []string, profiles []web.BootstrapProfile) string {
	for _, tag := range append(slices.Clone(tags), "") {
		for _, p := range profiles {
			if p.Tag == tag {
				return p.Name
			}
		}
	}
	return ""
}
