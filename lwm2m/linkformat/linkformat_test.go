package linkformat_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/linkformat"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, in, format string // format: what Format returns, if not in
		want             []linkformat.Link
	}{
		{name: "empty"},
		{
			name: "Core 1.2.2 §6.2.1, root link",
			in:   `</>;rt="oma.lwm2m";ct="110 112 60", </1/0>`,

			format: `</>;rt="oma.lwm2m";ct="110 112 60",</1/0>`,
			want: []linkformat.Link{
				{Target: "/", Attributes: []linkformat.Attribute{
					{Name: "rt", Value: "oma.lwm2m", HasValue: true},
					{Name: "ct", Value: "110 112 60", HasValue: true},
				}},
				{Target: "/1/0"},
			},
		},
		{
			name: "quoted version", in: `</44>;ver="1.1"`, format: `</44>;ver=1.1`,
			want: []linkformat.Link{
				{Target: "/44", Attributes: []linkformat.Attribute{{Name: "ver", Value: "1.1", HasValue: true}}},
			},
		},
		{
			name: "RFC 6690 §5, a comma in a URI and a flag", in: `</s?a=1,2>;obs`,
			want: []linkformat.Link{{Target: "/s?a=1,2", Attributes: []linkformat.Attribute{{Name: "obs"}}}},
		},
		{
			name: "escapes", in: `</a>;title="a\"b\\c;,"`,
			want: []linkformat.Link{
				{Target: "/a", Attributes: []linkformat.Attribute{{Name: "title", Value: `a"b\c;,`, HasValue: true}}},
			},
		},
		{
			name: "RFC 5987 name", in: `</a>;title*=UTF-8''x`, format: `</a>;title*="UTF-8''x"`,
			want: []linkformat.Link{
				{Target: "/a", Attributes: []linkformat.Attribute{{Name: "title*", Value: "UTF-8''x", HasValue: true}}},
			},
		},
		{
			name: "Core 1.0.2, legacy bootstrap Discover", in: `lwm2m="1.0",</0/0>`, format: `</>;lwm2m=1.0,</0/0>`,
			want: []linkformat.Link{
				{Target: "/", Attributes: []linkformat.Attribute{{Name: "lwm2m", Value: "1.0", HasValue: true}}},
				{Target: "/0/0"},
			},
		},
	} {
		got, err := linkformat.Parse(c.in)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: Parse(%q) = %v, %v, want %v", c.name, c.in, got, err, c.want)
		}
		if c.format == "" {
			c.format = c.in
		}
		if text := linkformat.Format(got); text != c.format {
			t.Errorf("%s: Format() = %q, want %q", c.name, text, c.format)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		name, in string
		err      error
	}{
		{"no brackets", "/1/0", linkformat.ErrSyntax},
		{"not closed", "</1/0", linkformat.ErrSyntax},
		{"comma at the end", "</1>,", linkformat.ErrSyntax},
		{"comma at the beginning", ",</1>", linkformat.ErrSyntax},
		{"no comma", "</1></2>", linkformat.ErrSyntax},
		{"space before a comma", "</1> ,</2>", linkformat.ErrSyntax},
		{"space in a target", "</1 >", linkformat.ErrSyntax},
		{"control character", "</1\n>", linkformat.ErrSyntax},
		{"nameless attribute", "</1>;=2", linkformat.ErrSyntax},
		{"empty attribute", "</1>;", linkformat.ErrSyntax},
		{"empty value", "</1>;ver=", linkformat.ErrSyntax},
		{"quote not closed", `</1>;ver="1`, linkformat.ErrSyntax},
		{"escape at the end", `</1>;ver="1\`, linkformat.ErrSyntax},
		{"control character in quotes", "</1>;ver=\"\n\"", linkformat.ErrSyntax},
		{"not UTF-8", "</1>;ver=\"\xff\"", linkformat.ErrSyntax},
		{"lwm2m not first", "</1>,lwm2m=1.0", linkformat.ErrSyntax},
		{"attribute twice", "</1>;ver=1.0;ver=1.1", linkformat.ErrDuplicate},
		{"too many attributes", "</1>" + manyAttributes(), linkformat.ErrLimit},
		{"too long", strings.Repeat(" ", linkformat.MaxLength+1), linkformat.ErrLimit},
		{"too many", strings.Repeat("</1>,", linkformat.MaxLinks) + "</1>", linkformat.ErrLimit},
	} {
		if got, err := linkformat.Parse(c.in); !errors.Is(err, c.err) {
			t.Errorf("%s: Parse() = %v, %v, want %v", c.name, got, err, c.err)
		}
	}
}

func TestLinkPath(t *testing.T) {
	for _, c := range []struct {
		target, root string
		want         lwm2m.Path
		err          error
	}{
		{target: "/3/0", want: lwm2m.NewPath(3, 0)},
		{target: "/21/1/", want: lwm2m.NewPath(21, 1)},
		{target: "/"},
		{target: "/3", root: "/", want: lwm2m.NewPath(3)},
		{target: "/lwm2m/3/0", root: "/lwm2m", want: lwm2m.NewPath(3, 0)},
		{target: "/lwm2m", root: "/lwm2m/"},
		{target: "/lwm2m3/0", root: "/lwm2m", err: lwm2m.ErrPath},
		{target: "/3/0", root: "/lwm2m", err: lwm2m.ErrPath},
		{target: "/x", err: lwm2m.ErrPath},
		{target: "coap://h/3", err: lwm2m.ErrPath},
	} {
		got, err := linkformat.Link{Target: c.target}.Path(c.root)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("Link{%q}.Path(%q) = %v, %v, want %v, %v", c.target, c.root, got, err, c.want, c.err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`</>;lwm2m=1.1,</0/0>;ssid=101;uri="coaps://server_1.example.com",</21/1/>`,
		`lwm2m=1.0,</0/0>;ssid=101`,
		`</>;ct="110 112 60", </1/0>,</5>`,
		`</3/0>;ver=1.2,</5/0>;ver1.1`,
		`</3/0/7>;dim=2;gt=50;lt=42.2, </3/0/7/0>`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		links, err := linkformat.Parse(text)
		if err != nil {
			return
		}
		again := linkformat.Format(links)
		if len(again) > 2*len(text)+3 {
			t.Errorf("Format(Parse(%q)) has %d bytes", text, len(again))
		}
		if back, err := linkformat.Parse(again); err != nil || !reflect.DeepEqual(back, links) {
			t.Errorf("Parse(%q) = %v, %v, want %v", again, back, err, links)
		}
	})
}

func manyAttributes() string {
	var b strings.Builder
	for i := range linkformat.MaxAttributes + 1 {
		b.WriteString(";a" + strings.Repeat("a", i))
	}
	return b.String()
}
