package ui

import (
	_ "embed" // for the list of licences
	"encoding/json"
	"net/http"
	"runtime/debug"
	"strings"

	"steward/web"
)

// licences has a line for each module of go.mod: its path and its licence (SPDX).
//
//go:embed licences.csv
var licences string

// A module is a part of the program that others wrote.
type module struct {
	Path, Version, Licence string
}

// linked returns the modules that this very program was built with, by its build
// information, with their licences.
func linked() []module {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	known := map[string]string{}
	for line := range strings.Lines(licences) {
		path, licence, _ := strings.Cut(strings.TrimSpace(line), ",")
		known[path] = licence
	}
	out := make([]module, 0, len(info.Deps))
	for _, d := range info.Deps {
		out = append(out, module{d.Path, d.Version, known[d.Path]})
	}
	return out
}

// A settingsPage is what is decided for the provider as a whole, and where.
type settingsPage struct {
	Server  serverSettings
	Base    string // address of this dashboard
	TLS     bool
	Devices string // what a factory puts into devices, as JSON
	Modules []module
	Kept    web.Retention
}

func (u *UI) settings(w http.ResponseWriter, r *http.Request) error {
	raw, err := u.s.Settings.DeviceSettings(r.Context())
	if err != nil {
		return err
	}
	page := settingsPage{Base: u.base(r), TLS: u.o.Door.TLS, Modules: linked()}
	if page.Server, err = u.serverSettings(r.Context()); err != nil {
		return err
	}
	if page.Kept, err = u.s.Settings.Retention(r.Context()); err != nil {
		return err
	}
	var indented strings.Builder
	encoder := json.NewEncoder(&indented)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(raw); err != nil {
		return err
	}
	page.Devices = indented.String()
	return u.show(w, r, http.StatusOK, "settings", "settings", "Settings", page)
}
