package config_test

import (
	"errors"
	"strings"
	"testing"

	"steward/cmd/internal/config"
)

func TestPublication(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   config.Publication
		err  error
	}{
		{"nothing", config.Publication{}, nil},
		{"one", config.Publication{URL: "http://ca.example:8081/", Parts: 1}, nil},
		{"parts below a path", config.Publication{URL: "http://ca.example/pki", Parts: 256}, nil},
		{"parts without a place", config.Publication{Parts: 2}, config.ErrConfig},
		{"three parts", config.Publication{URL: "http://ca.example", Parts: 3}, config.ErrConfig},
		{"too many", config.Publication{URL: "http://ca.example", Parts: 512}, config.ErrConfig},
		{"negative", config.Publication{Parts: -1}, config.ErrConfig},
		{"what needs a CRL itself", config.Publication{URL: "https://ca.example"}, config.ErrConfig},
		{"no host", config.Publication{URL: "http:///x"}, config.ErrConfig},
		{"no URL", config.Publication{URL: "ca.example"}, config.ErrConfig},
		{"query", config.Publication{URL: "http://ca.example/?x"}, config.ErrConfig},
		{"password", config.Publication{URL: "http://a:b@ca.example"}, config.ErrConfig},
		{"long", config.Publication{URL: "http://ca.example/" + strings.Repeat("x", 100)}, config.ErrConfig},
	} {
		o := config.Default()
		o.Publication = tt.in
		c, err := config.New(o)
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		}
		if err == nil && strings.HasSuffix(c.Publication.URL, "/") {
			t.Errorf("%s: URL %s", tt.name, c.Publication.URL)
		}
	}
}
