package ui

import (
	"io"
	"net/http"
	"strings"

	"steward/web"
)

// A devicesPage is the inventory.
type devicesPage struct {
	Filter  web.DeviceFilter
	States  []web.DeviceState
	Devices []web.Device
	Next    string // address of the next part; "" on the last
	Empty   bool   // there is no device at all, filter or not
	Base    string // address of this dashboard
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
		Filter: f, Devices: list.Items, Next: web.NextURL(r.URL, list.Next),
		States: []web.DeviceState{web.DeviceOnline, web.DeviceOffline, web.DeviceExpected, web.DeviceLeft},
		Base:   u.base(r),
		Empty:  len(list.Items) == 0 && !f.Narrow() && p.After == "",
	}
	return u.show(w, r, http.StatusOK, "devices", "devices", "Devices", page)
}

// importDevice lets one device in by its factory certificate.
func (u *UI) importDevice(w http.ResponseWriter, r *http.Request) error {
	d, err := u.s.Factories.ImportDevice(r.Context(), web.ActorFrom(r.Context()), web.NewDevice{
		Certificate: []byte(r.PostFormValue("certificate")),
		Endpoint:    strings.TrimSpace(r.PostFormValue("endpoint")),
		NoSec:       r.PostFormValue("nosec") != "",
		Tags:        strings.Fields(r.PostFormValue("tags")),
	})
	return u.done(w, r, err, "/devices/"+d.ID, "Device "+d.Endpoint+" is expected now.", "/devices")
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
