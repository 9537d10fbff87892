package lwm2m_test

import (
	"errors"
	"slices"
	"testing"

	"steward/lwm2m"
)

func TestParsePath(t *testing.T) {
	for _, c := range []struct {
		in   string
		want lwm2m.Path
		err  error
	}{
		{in: "/", want: lwm2m.Path{}},
		{in: "/3", want: lwm2m.NewPath(3)},
		{in: "/3/0/1", want: lwm2m.NewPath(3, 0, 1)},
		{in: "/2/0/2/65534", want: lwm2m.NewPath(2, 0, 2, 65534)},
		{in: "", err: lwm2m.ErrPath},
		{in: "3/0", err: lwm2m.ErrPath},
		{in: "/3/", err: lwm2m.ErrPath},
		{in: "//3", err: lwm2m.ErrPath},
		{in: "/03", err: lwm2m.ErrPath},
		{in: "/+3", err: lwm2m.ErrPath},
		{in: "/3/65535", err: lwm2m.ErrPath},
		{in: "/3/0/0/0/0", err: lwm2m.ErrPath},
		{in: "/rd", err: lwm2m.ErrPath},
	} {
		got, err := lwm2m.ParsePath(c.in)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("ParsePath(%q) = %v, %v, want %v, %v", c.in, got, err, c.want, c.err)
		}
		if c.err == nil && got.String() != c.in {
			t.Errorf("%v.String() = %q, want %q", c.want, got.String(), c.in)
		}
	}
}

func TestPathRelations(t *testing.T) {
	p := lwm2m.NewPath(3, 0, 6, 1)
	if p.Parent() != lwm2m.NewPath(3, 0, 6) || (lwm2m.Path{}).Parent() != (lwm2m.Path{}) {
		t.Errorf("Parent() = %v", p.Parent())
	}
	if p.Object() != 3 || p.ID(3) != 1 || p.Len() != 4 {
		t.Errorf("%v: object %d, last %d, length %d", p, p.Object(), p.ID(3), p.Len())
	}
	for _, above := range []string{"/", "/3", "/3/0", "/3/0/6", "/3/0/6/1"} {
		q, err := lwm2m.ParsePath(above)
		if err != nil || !q.Contains(p) {
			t.Errorf("%s.Contains(%s) = false, %v", above, p, err)
		}
	}
	if lwm2m.NewPath(3, 1).Contains(p) || p.Contains(p.Parent()) {
		t.Error("Contains is true for a stranger")
	}
	paths := []lwm2m.Path{lwm2m.NewPath(3, 0, 10), p, lwm2m.NewPath(3, 0), lwm2m.NewPath(1), {}}
	slices.SortFunc(paths, lwm2m.Path.Compare)
	want := []lwm2m.Path{{}, lwm2m.NewPath(1), lwm2m.NewPath(3, 0), p, lwm2m.NewPath(3, 0, 10)}
	if !slices.Equal(paths, want) {
		t.Errorf("sorted = %v, want %v", paths, want)
	}
}

func TestPathPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"Prefix": func() { lwm2m.NewPath(3).Prefix(2) },
		"ID":     func() { lwm2m.NewPath(3).ID(1) },
		"New":    func() { lwm2m.NewPath(1, 2, 3, 4, 5) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s does not panic", name)
				}
			}()
			f()
		}()
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"/", "/3/0/1", "/2/0/2/127", "/21/1/", "/lwm2m/3/0/0", "/65535"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := lwm2m.ParsePath(text)
		if err != nil {
			if !errors.Is(err, lwm2m.ErrPath) {
				t.Errorf("ParsePath(%q) = %v, want ErrPath", text, err)
			}
			return
		}
		if p.String() != text {
			t.Errorf("ParsePath(%q).String() = %q", text, p.String())
		}
	})
}

func TestHoldsKeys(t *testing.T) {
	for text, want := range map[string]bool{
		"/": false, "/0": true, "/0/1/5": true, "/21/0": true, "/3/0/0": false, "/1/0/21": false, "/d01/0/0/5": true,
		"/d01/3": false,
	} {
		p, err := lwm2m.ParseNode(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.HoldsKeys(); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}
