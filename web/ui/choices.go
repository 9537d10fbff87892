package ui

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"steward/web"
)

// A choice is a device that can be ticked.
type choice struct {
	web.Device

	Chosen bool
}

// choices are the devices that a form offers: those chosen before, then others. Or, if
// All, those that a filter selects, however many.
type choices struct {
	List []choice
	More bool // not all others are listed

	All    bool
	Filter string // as the query of an address
	Total  int    // devices that it selects now
}

// filtered returns the choices of a form that is for all devices which a filter selects,
// and which belong to us; ok is false for a form that names devices.
func (u *UI) filtered(r *http.Request, form url.Values) (out choices, ids []string, ok bool, err error) {
	if form.Get("scope") != "all" {
		return out, nil, false, nil
	}
	f, err := web.ParseStoredFilter(form.Get("filter"))
	if err != nil {
		return out, nil, true, err
	}
	f.Sort = web.SortEndpoint
	if f.Ownership == "" {
		f.Ownership = "owned"
	}
	all, err := web.SelectDevices(r.Context(), u.s.Devices, f)
	for _, d := range all {
		ids = append(ids, d.ID)
	}
	return choices{All: true, Filter: f.Query().Encode(), Total: len(all)}, ids, true, err
}

// choices lists the devices in chosen, ticked, and others that belong to us, up to
// a page. A device that was chosen is there however many there are; one that
// nobody knows is left out.
func (u *UI) choices(r *http.Request, chosen []string) (out choices, err error) {
	ours := web.DeviceFilter{Ownership: "owned"}
	list, err := u.s.Devices.ListDevices(r.Context(), ours, web.Page{Size: web.MaxPageSize})
	if err != nil {
		return out, err
	}
	known := map[string]web.Device{}
	for _, d := range list.Items {
		known[d.ID] = d
	}
	chosen = slices.Compact(slices.Sorted(slices.Values(chosen)))
	for _, id := range chosen {
		d, ok := known[id]
		if !ok {
			d, err = u.findDevice(r, id)
		}
		if errors.Is(err, web.ErrNotFound) {
			continue
		}
		if err != nil {
			return out, err
		}
		out.List = append(out.List, choice{d, true})
	}
	for _, d := range list.Items {
		if _, ticked := slices.BinarySearch(chosen, d.ID); !ticked {
			out.List = append(out.List, choice{d, false})
		}
	}
	out.More = list.Next != ""
	return out, nil
}

func (u *UI) findDevice(r *http.Request, id string) (web.Device, error) {
	d, err := u.s.Devices.Device(r.Context(), id)
	return d.Device, err
}

// refusedInput reports whether a form should be shown again with what was
// typed, rather than be lost.
func refusedInput(err error) bool {
	return errors.Is(err, web.ErrInvalid) || errors.Is(err, web.ErrConflict)
}
