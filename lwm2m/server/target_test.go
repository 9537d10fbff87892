package server_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/server"
)

func TestTarget(t *testing.T) {
	for _, tt := range []struct {
		names, query, text string
		err                error
	}{
		{names: "/3/0/9", text: "/3/0/9"},
		{names: "/3/0/9", query: "pmin=1&gt=-2.5", text: "/3/0/9 with pmin=1&gt=-2.5"},
		{names: "+/3/0/9", text: "/3/0/9"},
		{names: "+/", text: "/"},
		{names: "+/3/0/9,/1", query: "pmin=1", text: "/3/0/9 and /1 with pmin=1"},
		{names: "", err: lwm2m.ErrPath},
		{names: "+", err: lwm2m.ErrPath},
		{names: "+/3,/3", err: lwm2m.ErrPath},
		{names: "/3,/1", err: lwm2m.ErrPath},
		{names: "/3", query: "x=1", err: lwm2m.ErrAttribute},
		{names: "/3", query: "pmin", err: lwm2m.ErrAttribute},
		{names: "/3", query: "lt=2&gt=1", err: lwm2m.ErrAttribute},
		{names: "/3", query: "pmin=1&pmin=1", err: lwm2m.ErrQuery},
		{names: "+/3", query: "gt=1", err: lwm2m.ErrAttribute},
	} {
		got, err := server.ParseTarget(tt.names, tt.query)
		if !errors.Is(err, tt.err) {
			t.Errorf("ParseTarget(%q, %q) = %v, want %v", tt.names, tt.query, err, tt.err)
		}
		if err == nil && (got.Names() != tt.names || got.Query() != tt.query || got.String() != tt.text ||
			got.Composite() != strings.HasPrefix(tt.names, "+")) {
			t.Errorf("ParseTarget(%q, %q) = %q, %q, %q", tt.names, tt.query, got.Names(), got.Query(), got)
		}
	}
	both := nodes("/3/0/9", "/1")
	if !both.Contains(path("/1/0/1")) || both.Contains(path("/3/0/8")) ||
		!slices.Equal(both.Paths(), paths("/3/0/9", "/1")) {
		t.Errorf("%v: paths %v", both, both.Paths())
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"/3/0/9", "+/3,/1/0", "+", ","} {
		f.Add(seed, "pmin=1")
	}
	f.Fuzz(func(t *testing.T, names, query string) {
		got, err := server.ParseTarget(names, query)
		if err != nil {
			return
		}
		if again, err := server.ParseTarget(got.Names(), got.Query()); err != nil || again != got {
			t.Errorf("ParseTarget(%q, %q) = %v, and of that %v, %v", names, query, got, again, err)
		}
	})
}
