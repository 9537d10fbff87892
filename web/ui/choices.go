package ui

import (
	"errors"
	"net/http"
	"slices"

	"steward/web"
)

// A choice is a device that can be ticked.
type choice struct {
	web.Device

	Chosen bool
}

// choices are the devices that a form offers: those chosen before, then others.
type choices struct {
	List []choice
	More bool // not all others are listed
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
			d, err = u.find(r, id)
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

func (u *UI) find(r *http.Request, id string) (web.Device, error) {
	d, err := u.s.Devices.Device(r.Context(), id)
	return d.Device, err
}

// refusedInput reports whether a form should be shown again with what was
// typed, rather than be lost.
func refusedInput(err error) bool {
	return errors.Is(err, web.ErrInvalid) || errors.Is(err, web.ErrConflict)
}
