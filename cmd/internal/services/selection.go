package services

import (
	"cmp"
	"context"
	"errors"

	"steward/cmd/internal/sqlite"
	"steward/lwm2m/fleet"
	"steward/web"
)

// nobody is the ownership of a filter that contradicts itself.
const nobody fleet.Ownership = "-"

// selection turns a filter into a query as of now. A group is looked up: that of a
// list is a condition, that of a filter adds the filter. It returns ErrInvalid for
// words that name nothing.
func (b *base) selection(ctx context.Context, f web.DeviceFilter) (sqlite.DeviceQuery, error) {
	q, err := b.plainSelection(f)
	if err != nil || f.Group == "" {
		return q, err
	}
	kind, filter, err := b.DB.Groups().Plain(ctx, f.Group)
	switch {
	case errors.Is(err, sqlite.ErrNoGroup):
		return q, web.Invalid("group", "there is no group "+printable(f.Group))
	case err != nil:
		return q, translate(err)
	case kind == sqlite.GroupStatic:
		q.Members = f.Group
		return q, nil
	}
	of, err := b.storedSelection(filter)
	if err != nil {
		return q, err
	}
	return intersect(q, of)
}

// storedSelection is the query of a dynamic group.
func (b *base) storedSelection(filter string) (sqlite.DeviceQuery, error) {
	f, err := web.ParseStoredFilter(filter)
	if err != nil {
		return sqlite.DeviceQuery{}, err // it was checked when it was stored
	}
	return b.plainSelection(f)
}

// plainSelection leaves the group of f out.
func (b *base) plainSelection(f web.DeviceFilter) (sqlite.DeviceQuery, error) {
	q := sqlite.DeviceQuery{
		Insecure: f.Insecure, Campaign: f.Campaign, Exposed: f.Exposed, Release: f.Release, Manufacturer: f.Manufacturer,
		Model: f.Model, Firmware: f.Firmware, Newest: f.Sort == web.SortNewest, Now: b.Now(),
	}
	if f.Text != "" {
		q.Texts = []string{f.Text}
	}
	if f.Tag != "" {
		q.Tags = []string{f.Tag}
	}
	return q, selectState(&q, f)
}

// intersect returns what both a and b select, in the order of a. Two campaigns,
// releases or vulnerabilities at once are ErrInvalid.
func intersect(a, b sqlite.DeviceQuery) (sqlite.DeviceQuery, error) {
	a.Texts, a.Tags = append(a.Texts, b.Texts...), append(a.Tags, b.Tags...)
	a.Insecure = a.Insecure || b.Insecure
	possible := meet(&a.Ownership, b.Ownership) && meet(&a.Presence, b.Presence) &&
		meet(&a.Manufacturer, b.Manufacturer) && meet(&a.Model, b.Model) && meet(&a.Firmware, b.Firmware)
	if !possible {
		a.Ownership = nobody
	}
	if a.Exposed == "*" || b.Exposed == "*" {
		a.Exposed = cmp.Or(named(a.Exposed), named(b.Exposed), "*")
		b.Exposed = a.Exposed
	}
	for field, same := range map[string]bool{
		"campaign": meet(&a.Campaign, b.Campaign), "exposed": meet(&a.Exposed, b.Exposed),
		"release": meet(&a.Release, b.Release),
	} {
		if !same {
			return a, web.Invalid(field, "the group has another already")
		}
	}
	return a, nil
}

// named is exposed if it names one vulnerability.
func named(exposed string) string {
	if exposed == "*" {
		return ""
	}
	return exposed
}

// meet makes a the condition that holds if a and b do, an empty one being none. It
// reports false if there is none.
func meet[T comparable](a *T, b T) bool {
	var none T
	if *a == none {
		*a = b
	}
	return b == none || *a == b
}

// selectState turns state and ownership of f into those of q. It returns
// ErrInvalid for words that name none.
func selectState(q *sqlite.DeviceQuery, f web.DeviceFilter) error {
	switch o := fleet.Ownership(f.Ownership); o {
	case "", fleet.Expected, fleet.Owned, fleet.Left:
		q.Ownership = o
	default:
		return web.Invalid("ownership", "expected, owned or left")
	}
	owner := fleet.Owned
	switch f.State {
	case "":
		return nil
	case web.DeviceOnline:
		q.Presence = sqlite.PresenceOnline
	case web.DeviceOffline:
		q.Presence = sqlite.PresenceOffline
	case web.DeviceExpected:
		owner = fleet.Expected
	case web.DeviceLeft:
		owner = fleet.Left
	default:
		return web.Invalid("state", "expected, online, offline or left")
	}
	if q.Ownership != "" && q.Ownership != owner {
		owner = nobody
	}
	q.Ownership = owner
	return nil
}
