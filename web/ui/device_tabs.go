package ui

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"steward/lwm2m"
	"steward/web"
)

// deviceSecurity shows certificates, renewal, attestation, keys and bootstrap of a device.
func (u *UI) deviceSecurity(w http.ResponseWriter, r *http.Request) error {
	page, err := u.devicePage(r)
	if err != nil {
		return err
	}
	page.Tab = "security"
	return u.show(w, r, http.StatusOK, "device", "devices", page.Endpoint, page)
}

// A timelinePage is what happened to a device, and what people did to it.
type timelinePage struct {
	Device web.Device
	Action string // prefix that selects; "" for all
	Rows   []web.AuditRow
	Next   string
}

func (u *UI) timeline(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	d, err := u.s.Devices.Device(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	action := r.URL.Query().Get("action")
	rows, err := u.s.Activity.ListAudit(r.Context(), web.AuditFilter{Subject: d.ID, Action: action}, p)
	if err != nil {
		return err
	}
	page := timelinePage{d.Device, action, rows.Items, web.NextURL(r.URL, rows.Next)}
	return u.show(w, r, http.StatusOK, "timeline", "devices", d.Endpoint, page)
}

// A firmwarePage is what a device runs, as it tells by the objects for updates.
type firmwarePage struct {
	Device     web.Device
	Reachable  bool
	Components []component
}

// A component is one instance of an object by which something is updated.
type component struct {
	Path   lwm2m.Path
	Name   string
	Values []web.Value
}

// updateObjects are those by which devices are updated: firmware, software, components.
var updateObjects = []uint16{5, 9, 33629} //nolint:gochecknoglobals // a constant

func (u *UI) firmware(w http.ResponseWriter, r *http.Request) error {
	d, err := u.s.Devices.Device(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	page := firmwarePage{Device: d.Device, Reachable: d.Registration != nil}
	for _, o := range d.Objects {
		if !slices.Contains(updateObjects, o.ID) {
			continue
		}
		for _, instance := range o.Instances {
			c := component{Path: lwm2m.NewPath(o.ID, instance), Name: o.Name}
			if c.Values, err = u.s.Devices.Values(r.Context(), d.ID, c.Path); err != nil {
				return err
			}
			page.Components = append(page.Components, c)
		}
	}
	return u.show(w, r, http.StatusOK, "firmware", "devices", d.Endpoint, page)
}

// A settingsOfDevice is what people decide about one device.
type settingsOfDevice struct {
	Device    web.Device
	Lifetime  int64 // seconds; 0 while it is not registered
	Reachable bool
	Confirm   string // what has to be typed to retire it
}

func (u *UI) deviceSettings(w http.ResponseWriter, r *http.Request) error {
	d, err := u.s.Devices.Device(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	page := settingsOfDevice{Device: d.Device, Confirm: d.Endpoint}
	if d.Registration != nil {
		page.Reachable, page.Lifetime = true, d.Registration.Seconds
	}
	return u.show(w, r, http.StatusOK, "device_settings", "devices", d.Endpoint, page)
}

// retire ends all that a device has here, once its name was typed.
func (u *UI) retire(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	back := "/devices/" + url.PathEscape(id) + "/settings"
	d, err := u.s.Devices.Device(r.Context(), id)
	if err != nil {
		return err
	}
	if strings.TrimSpace(r.PostFormValue("confirm")) != strings.TrimSpace(d.Endpoint) {
		err := web.Invalid("confirm", "type the name of the device: "+strconv.Quote(d.Endpoint))
		return u.done(w, r, err, "", "", back)
	}
	_, err = u.s.Devices.RetireDevice(r.Context(), web.ActorFrom(r.Context()), id, web.Retirement{
		Reason: r.PostFormValue("reason"), Erase: r.PostFormValue("erase") != "",
		Replacement: replacement(r.PostFormValue("replacement")),
	})
	return u.done(w, r, err, "/devices/"+url.PathEscape(id), "The device is retired. Its history stays.", back)
}

// erase deletes a device that left, with its history.
func (u *UI) erase(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	err := u.s.Devices.EraseDevice(r.Context(), web.ActorFrom(r.Context()), id, r.PostFormValue("confirm"),
		r.PostFormValue("reason"))
	return u.done(w, r, err, "/devices?state=left", "The device and its history are deleted.",
		"/devices/"+url.PathEscape(id)+"/settings")
}

// replacement reads a name as people type it.
func replacement(name string) string {
	if name = strings.TrimSpace(name); name == "" {
		return ""
	}
	return "ep:" + name
}
