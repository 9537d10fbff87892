package web_test

import (
	"errors"
	"net/url"
	"reflect"
	"testing"

	"steward/web"
)

func TestParseDeviceFilter(t *testing.T) {
	for _, tt := range []struct {
		query string
		want  web.DeviceFilter
		err   error
	}{
		{"", web.DeviceFilter{}, nil},
		{"group=g&q=a&state=online&tag=t", web.DeviceFilter{State: "online", Text: "a", Tag: "t", Group: "g"}, nil},
		{
			"campaign=c&exposed=e&insecure=true&ownership=o&release=r",
			web.DeviceFilter{Insecure: true, Campaign: "c", Ownership: "o", Exposed: "e", Release: "r"},
			nil,
		},
		{
			"firmware=3&manufacturer=1&model=2&sort=newest",
			web.DeviceFilter{Manufacturer: "1", Model: "2", Firmware: "3", Sort: web.SortNewest},
			nil,
		},
		{"insecure=yes", web.DeviceFilter{}, web.ErrInvalid},
		{"sort=size", web.DeviceFilter{}, web.ErrInvalid},
	} {
		q, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := web.ParseDeviceFilter(q)
		if !errors.Is(err, tt.err) || err == nil && got != tt.want {
			t.Errorf("%q: %+v, %v, want %+v, %v", tt.query, got, err, tt.want, tt.err)
		}
		if err == nil && got.Query().Encode() != tt.query {
			t.Errorf("Query() = %q, want %q", got.Query().Encode(), tt.query)
		}
	}
}

func TestOnlyDeviceFilter(t *testing.T) {
	for query, want := range map[string]error{
		"tag=a&model=b": nil, "tag=a&tag=b": web.ErrInvalid, "page_token=a": web.ErrInvalid,
	} {
		q, _ := url.ParseQuery(query)
		if err := web.OnlyDeviceFilter(q); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", query, err, want)
		}
	}
}

// FuzzDeviceFilter: what is read of an address is written as what it was read as.
func FuzzDeviceFilter(f *testing.F) {
	for _, seed := range []string{
		"", "state=online&q=a%20b&tag=t", "insecure=1&sort=newest", "q=%ff&group=%00", "sort=x", "q=a&q=b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		first, err := web.ParseDeviceFilter(q)
		if err != nil {
			return
		}
		again, err := web.ParseDeviceFilter(first.Query())
		if err != nil || !reflect.DeepEqual(again, first) {
			t.Errorf("%q is %+v, and written and read again %+v, %v", text, first, again, err)
		}
		if err := web.OnlyDeviceFilter(first.Query()); err != nil {
			t.Errorf("%q as a filter: %v", first.Query().Encode(), err)
		}
	})
}
