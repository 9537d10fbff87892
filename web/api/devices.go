package api

import (
	"net/http"

	"steward/web"
)

func (a *API) devices(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ParseDeviceFilter(r.URL.Query())
	if err != nil {
		return err
	}
	return listed(w, r, func(p web.Page) (web.List[web.Device], error) {
		return a.s.Devices.ListDevices(r.Context(), f, p)
	})
}

func (a *API) device(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.s.Devices.Device)
}

func (a *API) importDevice(w http.ResponseWriter, r *http.Request) error {
	var in web.NewDevice
	if err := readBody(r, &in); err != nil {
		return err
	}
	d, err := a.s.Factories.ImportDevice(r.Context(), web.ActorFrom(r.Context()), in)
	if err != nil {
		return err
	}
	return created(w, "/devices/"+d.ID, d)
}

type newDevices struct {
	Items []web.NewDevice `json:"items"`
}

type importedView struct {
	Items web.Array[web.ImportedDevice] `json:"items"`
}

func (a *API) importDevices(w http.ResponseWriter, r *http.Request) error {
	var in newDevices
	if err := readBody(r, &in); err != nil {
		return err
	}
	out, err := a.s.Factories.ImportDevices(r.Context(), web.ActorFrom(r.Context()), in.Items)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, importedView{out})
}

type factoriesView struct {
	Items web.Array[web.FactoryAuthority] `json:"items"`
}

func (a *API) factories(w http.ResponseWriter, r *http.Request) error {
	all, err := a.s.Factories.FactoryAuthorities(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, factoriesView{all})
}

type newFactory struct {
	Certificate []byte `json:"certificate"`
}

func (a *API) addFactory(w http.ResponseWriter, r *http.Request) error {
	var in newFactory
	if err := readBody(r, &in); err != nil {
		return err
	}
	f, err := a.s.Factories.AddFactoryAuthority(r.Context(), web.ActorFrom(r.Context()), in.Certificate)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, f)
}

func (a *API) deviceSettings(w http.ResponseWriter, r *http.Request) error {
	body, err := a.s.Settings.DeviceSettings(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, body)
}

func (a *API) retention(w http.ResponseWriter, r *http.Request) error {
	kept, err := a.s.Settings.Retention(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, kept)
}
