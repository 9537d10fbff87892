package web

import (
	"context"
	"net/url"
	"strconv"
	"strings"
)

// MaxFilter is the longest filter that is stored, as the query of an address, in bytes.
const MaxFilter = 2048

// A DeviceSort is an order of devices.
type DeviceSort string

// The orders.
const (
	SortEndpoint DeviceSort = ""       // by endpoint
	SortNewest   DeviceSort = "newest" // those that were announced last first
)

// A DeviceFilter selects devices. Its zero value selects all.
type DeviceFilter struct {
	State     DeviceState // "" for all
	Text      string      // part of the endpoint; "" for all
	Tag       string      // "" for all
	Group     string      // name of a group; "" for all
	Insecure  bool        // only those registered without security
	Campaign  string      // only those of one campaign; "" for all
	Ownership string      // expected, owned, left; "" for all
	Exposed   string      // running a release that this vulnerability affects; "*": by any; "" for all
	Release   string      // running this release; "" for all
	// What the device tells of itself, exactly; "" for all.
	Manufacturer, Model, Firmware string

	Sort DeviceSort
}

// ParseDeviceFilter reads a filter from the query of an address: state, q, tag, group,
// insecure, campaign, ownership, exposed, release, manufacturer, model, firmware and
// sort. It returns ErrInvalid for an order or a truth value that is none; other words
// are judged where they are used.
func ParseDeviceFilter(q url.Values) (DeviceFilter, error) {
	f := DeviceFilter{
		State: DeviceState(q.Get("state")), Text: q.Get("q"), Tag: q.Get("tag"), Group: q.Get("group"),
		Campaign: q.Get("campaign"), Ownership: q.Get("ownership"), Exposed: q.Get("exposed"), Release: q.Get("release"),
		Manufacturer: q.Get("manufacturer"), Model: q.Get("model"), Firmware: q.Get("firmware"),
		Sort: DeviceSort(q.Get("sort")),
	}
	switch q.Get("insecure") {
	case "", "false":
	case "true", "1":
		f.Insecure = true
	default:
		return f, Invalid("insecure", "true or false")
	}
	switch f.Sort {
	case SortEndpoint, SortNewest:
	case "endpoint":
		f.Sort = SortEndpoint
	default:
		return f, Invalid("sort", "endpoint or newest")
	}
	return f, nil
}

// filterNames are what ParseDeviceFilter reads.
var filterNames = []string{ //nolint:gochecknoglobals // a constant
	"state", "q", "tag", "group", "insecure", "campaign", "ownership", "exposed", "release", "manufacturer", "model",
	"firmware", "sort",
}

// Query returns f as ParseDeviceFilter reads it, without what selects all.
func (f DeviceFilter) Query() url.Values {
	insecure := ""
	if f.Insecure {
		insecure = "true"
	}
	out := url.Values{}
	for i, value := range []string{
		string(f.State), f.Text, f.Tag, f.Group, insecure, f.Campaign, f.Ownership, f.Exposed, f.Release, f.Manufacturer,
		f.Model, f.Firmware, string(f.Sort),
	} {
		if value != "" {
			out.Set(filterNames[i], value)
		}
	}
	return out
}

// OnlyDeviceFilter returns ErrInvalid if q has something that is no part of a filter,
// or a part twice: what somebody meant as a bound must not be overlooked.
func OnlyDeviceFilter(q url.Values) error {
	known := map[string]bool{}
	for _, name := range filterNames {
		known[name] = true
	}
	for name, values := range q {
		if !known[name] {
			return Invalid("filter", "there is no condition "+name)
		}
		if len(values) != 1 {
			return Invalid("filter", name+" stands there more than once")
		}
	}
	return nil
}

// ParseStoredFilter reads a filter from text: the query of an address, in which nothing
// else may stand. It returns ErrInvalid.
func ParseStoredFilter(text string) (DeviceFilter, error) {
	q, err := url.ParseQuery(strings.TrimPrefix(text, "?"))
	if err != nil || len(text) > MaxFilter {
		return DeviceFilter{}, Invalid("filter", "want the query of an address, such as tag=x&model=y")
	}
	if err := OnlyDeviceFilter(q); err != nil {
		return DeviceFilter{}, err
	}
	return ParseDeviceFilter(q)
}

// SelectDevices returns all devices that f selects. It returns ErrInvalid for none, and
// for more than MaxBulk.
func SelectDevices(ctx context.Context, from Devices, f DeviceFilter) (all []Device, err error) {
	for p := (Page{Size: MaxPageSize}); ; {
		list, err := from.ListDevices(ctx, f, p)
		if err != nil {
			return nil, err
		}
		all = append(all, list.Items...)
		if len(all) > MaxBulk {
			return nil, Invalid("filter", "more than "+strconv.Itoa(MaxBulk)+" devices match")
		}
		if list.Next == "" {
			break
		}
		p.After = list.Next
	}
	if len(all) == 0 {
		return nil, Invalid("filter", "no device matches")
	}
	return all, nil
}

// Narrow reports whether the filter leaves anything out.
func (f DeviceFilter) Narrow() bool {
	f.Sort = SortEndpoint
	return f != DeviceFilter{}
}
