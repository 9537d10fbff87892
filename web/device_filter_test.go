package web_test

import (
	"errors"
	"net/url"
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
