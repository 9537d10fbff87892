package ui

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"steward/web"
)

// A devicesPage is the inventory.
type devicesPage struct {
	Filter  web.DeviceFilter
	Query   string // Filter as the query of an address
	States  []web.DeviceState
	Groups  []web.Group
	Columns []column
	Devices []web.Device
	Views   []savedView
	Next    string // address of the next part; "" on the last
	First   string // address of the first part; "" on it
	Empty   bool   // there is no device at all, filter or not
	Base    string // address of this dashboard
}

// A column is one that the inventory may show beside the endpoint.
type column struct {
	Name, Title string
	Shown       bool
}

// deviceColumns are the columns in their order, with those that are shown unless
// somebody chose.
var deviceColumns = []column{ //nolint:gochecknoglobals // a constant
	{"state", "State", true},
	{"security", "Security", true},
	{"firmware", "Firmware", true},
	{"tags", "Tags", true},
	{"seen", "Last seen", true},
	{"manufacturer", "Manufacturer", false},
	{"model", "Model", false},
	{"version", "LwM2M", false},
	{"created", "Known since", false},
	{"id", "Id here", false},
}

// Export is the query of the API for all that the filter selects, as a table.
func (p devicesPage) Export() string {
	q := p.Filter.Query()
	q.Set("format", "csv")
	return q.Encode()
}

// Shows reports whether the column called name is shown.
func (p devicesPage) Shows(name string) bool {
	return slices.ContainsFunc(p.Columns, func(c column) bool { return c.Name == name && c.Shown })
}

// A savedView is a link to a filter that somebody keeps.
type savedView struct {
	web.SavedView

	Current bool
}

func (u *UI) devices(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p, err := web.ParsePage(q)
	if err != nil {
		return err
	}
	f, err := web.ParseDeviceFilter(q)
	if err != nil {
		return err
	}
	list, err := u.s.Devices.ListDevices(r.Context(), f, p)
	if err != nil {
		return err
	}
	page := devicesPage{
		Filter: f, Query: f.Query().Encode(), Devices: list.Items, Next: web.NextURL(r.URL, list.Next),
		States: []web.DeviceState{web.DeviceOnline, web.DeviceOffline, web.DeviceExpected, web.DeviceLeft},
		Base:   u.base(r), Columns: columnsOf(q["columns"]),
		Empty: len(list.Items) == 0 && !f.Narrow() && p.After == "",
	}
	if p.After != "" {
		q.Del("page_token")
		page.First = "/devices?" + q.Encode()
	}
	if page.Groups, err = optional(u.s.Groups.Groups(r.Context())); err != nil {
		return err
	}
	if page.Views, err = u.savedViews(r); err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "devices", "devices", "Devices", page)
}

// optional is none for what a provider does not have.
func optional[T any](all []T, err error) ([]T, error) {
	if errors.Is(err, web.ErrNotBuilt) {
		return nil, nil
	}
	return all, err
}

// columnsOf marks the chosen columns as shown; none chosen are those of usual.
func columnsOf(chosen []string) []column {
	all := slices.Clone(deviceColumns)
	for i := range all {
		if len(chosen) > 0 {
			all[i].Shown = slices.Contains(chosen, all[i].Name)
		}
	}
	return all
}

// savedViews returns the views of who asks, the one that the page shows marked.
func (u *UI) savedViews(r *http.Request) (out []savedView, err error) {
	all, err := optional(u.s.Views.Views(r.Context(), web.ActorFrom(r.Context())))
	q := r.URL.Query()
	q.Del("page_token")
	for name, values := range q {
		if len(values) == 1 && values[0] == "" {
			q.Del(name)
		}
	}
	here := q.Encode()
	for _, v := range all {
		stored, _ := url.ParseQuery(v.Query) // none of what cannot be read
		out = append(out, savedView{v, stored.Encode() == here})
	}
	return out, err
}

// putView keeps the filter and the columns that the page shows.
func (u *UI) putView(w http.ResponseWriter, r *http.Request) error {
	query := r.PostFormValue("query")
	v, err := u.s.Views.PutView(r.Context(), web.ActorFrom(r.Context()), web.SavedView{
		Name: r.PostFormValue("name"), Query: query, Shared: r.PostFormValue("shared") != "",
	})
	return u.done(w, r, err, "/devices?"+v.Query, "The view "+v.Name+" is kept.", "/devices?"+queryOf(query))
}

// queryOf returns text as the query of an address, none of what cannot be read.
func queryOf(text string) string {
	q, err := url.ParseQuery(text)
	if err != nil {
		return ""
	}
	return q.Encode()
}

func (u *UI) removeView(w http.ResponseWriter, r *http.Request) error {
	err := u.s.Views.RemoveView(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"))
	return u.done(w, r, err, "/devices", "The view is gone; the devices are still there.", "/devices")
}

// changeTags sets the tags of one device: the form has all that it is to have.
func (u *UI) changeTags(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	page := "/devices/" + url.PathEscape(id) + "#tags"
	d, err := u.s.Devices.Device(r.Context(), id)
	if err != nil {
		return err
	}
	var want []string
	for line := range strings.Lines(r.PostFormValue("tags")) { // a tag may have spaces
		if t := strings.TrimSpace(line); t != "" {
			want = append(want, t)
		}
	}
	c := web.TagChange{Reason: r.PostFormValue("reason")}
	for _, t := range want {
		if !slices.Contains(d.Tags, t) {
			c.Add = append(c.Add, t)
		}
	}
	for _, t := range d.Tags {
		if !slices.Contains(want, t) {
			c.Remove = append(c.Remove, t)
		}
	}
	if len(c.Add)+len(c.Remove) > 0 {
		_, err = u.s.Devices.ChangeTags(r.Context(), web.ActorFrom(r.Context()), id, c)
	}
	return u.done(w, r, err, page, "The tags are stored.", page)
}

// addFactory trusts the CA of a factory.
func (u *UI) addFactory(w http.ResponseWriter, r *http.Request) error {
	f, err := u.s.Factories.AddFactoryAuthority(r.Context(), web.ActorFrom(r.Context()),
		[]byte(r.PostFormValue("certificate")))
	return u.done(w, r, err, "/certificates", "Devices of "+f.Subject+" are recognised now.", "/certificates")
}

// readUpload returns the content of an uploaded file, nil if none was chosen.
func readUpload(r *http.Request, field string) ([]byte, error) {
	file, _, err := r.FormFile(field)
	if err != nil {
		if errors.Is(err, http.ErrNotMultipart) {
			return nil, nil
		}
		if r.MultipartForm != nil && len(r.MultipartForm.File[field]) == 0 {
			return nil, nil
		}
		return nil, err
	}
	body, err := io.ReadAll(file) // the body as a whole is limited
	if err != nil {
		return nil, err
	}
	return body, file.Close()
}
