package lwm2m_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"steward/lwm2m"
)

func behind(t *testing.T, prefix string, ids ...uint16) lwm2m.Path {
	t.Helper()
	p, err := lwm2m.NewPath(ids...).Behind(prefix)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParseNode(t *testing.T) {
	for _, c := range []struct {
		in   string
		want lwm2m.Path
		err  error
	}{
		{in: "/", want: lwm2m.Path{}},
		{in: "/3/0/1", want: lwm2m.NewPath(3, 0, 1)},
		{in: "/d01", want: behind(t, "d01")},
		{in: "/d01/3/0/1", want: behind(t, "d01", 3, 0, 1)},
		{in: "/dev-1.b_~/3303", want: behind(t, "dev-1.b_~", 3303)},
		{in: "/d01/", err: lwm2m.ErrPath},
		{in: "/d01/d02/3", err: lwm2m.ErrPath},
		{in: "/1d/3/0/0", err: lwm2m.ErrPath},
		{in: "/../3/0/0", err: lwm2m.ErrPath},
		{in: "/a%2Fb/3/0/0", err: lwm2m.ErrPath},
		{in: "/ü/3", err: lwm2m.ErrPath},
		{in: "d01/3", err: lwm2m.ErrPath},
		{in: "", err: lwm2m.ErrPath},
		{in: "/" + strings.Repeat("d", 65) + "/3", err: lwm2m.ErrPath},
	} {
		got, err := lwm2m.ParseNode(c.in)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("ParseNode(%q) = %v, %v, want %v, %v", c.in, got, err, c.want, c.err)
		}
		if c.err == nil && got.String() != c.in {
			t.Errorf("%v.String() = %q, want %q", c.want, got.String(), c.in)
		}
	}
}

// What is behind a gateway is never the gateway's own.
func TestNodesBehind(t *testing.T) {
	p := behind(t, "d01", 3, 0, 6, 1)
	if p == lwm2m.NewPath(3, 0, 6, 1) || p.Own() != lwm2m.NewPath(3, 0, 6, 1) || p.Gateway() != "d01" {
		t.Errorf("%v: own %v, prefix %q", p, p.Own(), p.Gateway())
	}
	if lwm2m.NewPath(3).Contains(p) || (lwm2m.Path{}).Contains(p) || behind(t, "d02", 3).Contains(p) {
		t.Error("a node of another device contains it")
	}
	if !behind(t, "d01").Contains(p) || !p.Prefix(2).Contains(p) || p.Parent() != behind(t, "d01", 3, 0, 6) {
		t.Error("its own device does not contain it")
	}
	if got := p.Segments(); !slices.Equal(got, []string{"d01", "3", "0", "6", "1"}) {
		t.Errorf("segments %q", got)
	}
	if q := lwm2m.NewPath(4).Under(p); q != behind(t, "d01", 4) {
		t.Errorf("Under = %v", q)
	}
	all := []lwm2m.Path{behind(t, "d02"), p, behind(t, "d01", 1), lwm2m.NewPath(9)}
	slices.SortFunc(all, lwm2m.Path.Compare)
	if want := []lwm2m.Path{lwm2m.NewPath(9), behind(t, "d01", 1), p, behind(t, "d02")}; !slices.Equal(all, want) {
		t.Errorf("order %v, want %v", all, want)
	}
}

func FuzzParseNode(f *testing.F) {
	for _, seed := range []string{"/", "/3/0/0", "/d01/3/0/0", "/d01", "/d/d/3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := lwm2m.ParseNode(text); err == nil && p.String() != text {
			t.Errorf("ParseNode(%q) = %v", text, p)
		}
	})
}
