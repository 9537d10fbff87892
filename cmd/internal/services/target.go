package services

import (
	"context"
	"slices"
	"strings"

	"steward/lwm2m/fleet"
	"steward/web"
)

// maxTargets is the number of devices of one campaign or transfer: more are
// several, so that a mistake reaches no more.
const maxTargets = 10000

// targets returns the ids of the devices that names mean, each once. It returns
// ErrInvalid for one that nobody knows, ErrConflict for one whose ownership is
// none of of.
func (b *base) targets(ctx context.Context, names []string, of ...fleet.Ownership) ([]fleet.ID, error) {
	if len(names) == 0 || len(names) > maxTargets {
		return nil, web.Invalid("devices", "between 1 and 10000 devices")
	}
	var ids, endpoints []string
	for _, name := range names {
		if ep, ok := strings.CutPrefix(name, endpointPrefix); ok {
			endpoints = append(endpoints, ep)
		} else {
			ids = append(ids, name)
		}
	}
	found, err := b.view.Known(ctx, ids, endpoints)
	if err != nil {
		return nil, translate(err)
	}
	byName := map[string]fleet.Device{}
	for _, d := range found {
		byName[string(d.ID)] = d
		byName[endpointPrefix+string(d.Endpoint)] = d
	}
	var out []fleet.ID
	seen := map[fleet.ID]bool{}
	for _, name := range names {
		d, ok := byName[name]
		switch {
		case !ok:
			return nil, web.Invalid("devices", "there is no device "+printable(name))
		case !slices.Contains(of, d.Ownership):
			return nil, conflict("the device " + printable(string(d.Endpoint)) + " " + whose(d.Ownership))
		case !seen[d.ID]:
			seen[d.ID] = true
			out = append(out, d.ID)
		}
	}
	return out, nil
}

// whose says in words why nothing is done with a device.
func whose(o fleet.Ownership) string {
	switch o {
	case fleet.Expected:
		return "has not come yet: it is expected"
	case fleet.Left:
		return "is not ours any more: it was handed over or retired"
	default:
		return "is " + string(o)
	}
}
