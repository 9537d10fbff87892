package lwm2m_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"steward/lwm2m"
)

func TestParseArguments(t *testing.T) {
	for _, c := range []struct {
		in   string
		want lwm2m.Arguments
		err  error
	}{
		{in: ""},
		{in: "5", want: lwm2m.Arguments{{Digit: 5}}},
		{in: "2='10.3'", want: lwm2m.Arguments{{Digit: 2, Value: "10.3", HasValue: true}}},
		{in: "0='</33629/1>',1", want: lwm2m.Arguments{{Value: "</33629/1>", HasValue: true}, {Digit: 1}}},
		{in: "7='a,b'", want: lwm2m.Arguments{{Digit: 7, Value: "a,b", HasValue: true}}},
		{in: "3=''", want: lwm2m.Arguments{{Digit: 3, HasValue: true}}},
		{in: "a", err: lwm2m.ErrArguments},
		{in: "10", err: lwm2m.ErrArguments},
		{in: "1,", err: lwm2m.ErrArguments},
		{in: ",1", err: lwm2m.ErrArguments},
		{in: "1,1", err: lwm2m.ErrArguments},
		{in: "1=5", err: lwm2m.ErrArguments},
		{in: "1='5", err: lwm2m.ErrArguments},
		{in: "1='a'b'", err: lwm2m.ErrArguments},
		{in: "1='\n'", err: lwm2m.ErrArguments},
	} {
		got, err := lwm2m.ParseArguments(c.in)
		if !slices.Equal(got, c.want) || !errors.Is(err, c.err) {
			t.Errorf("ParseArguments(%q) = %v, %v, want %v, %v", c.in, got, err, c.want, c.err)
		}
		if c.err == nil && got.String() != c.in {
			t.Errorf("String() = %q, want %q", got.String(), c.in)
		}
	}
	a, _ := lwm2m.ParseArguments("0='U'")
	if v, ok := a.Get(0); v != "U" || !ok {
		t.Errorf("Get(0) = %q, %v", v, ok)
	}
	if _, ok := a.Get(1); ok {
		t.Error("Get(1) finds an argument")
	}
}

func FuzzParseArguments(f *testing.F) {
	for _, s := range []string{"5", "2='10.3'", "0,1,2,3,4", "7='0',0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := lwm2m.ParseArguments(text)
		if err == nil && a.String() != text {
			t.Errorf("ParseArguments(%q).String() = %q", text, a.String())
		}
		if len(a) > 10 {
			t.Errorf("ParseArguments(%q) has %d arguments", text, len(a))
		}
	})
}

func TestParseQuery(t *testing.T) {
	got, err := lwm2m.ParseQuery([]string{"ep=a=b", "Q", "b="})
	want := []lwm2m.Parameter{{Name: "ep", Value: "a=b", HasValue: true}, {Name: "Q"}, {Name: "b", HasValue: true}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("ParseQuery() = %v, %v, want %v", got, err, want)
	}
	many := strings.Repeat("a&", lwm2m.MaxParameters) + "b"
	for _, bad := range []string{"", "=x", "ep=a&ep=b", "ep=\n", "ep=\xff", many} {
		if _, err := lwm2m.ParseQuery(strings.Split(bad, "&")); !errors.Is(err, lwm2m.ErrQuery) {
			t.Errorf("ParseQuery(%q) = %v, want ErrQuery", bad, err)
		}
	}
}

func TestParseProfiles(t *testing.T) {
	got, err := lwm2m.ParseProfiles(`"6:1234abcd,oma:x"`)
	want := []lwm2m.Profile{{Suite: 6, Hash: "1234abcd"}, {Name: "oma:x"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("ParseProfiles() = %v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"", "6", "6:", "7:12", "6:XY", "x:y", "6:12,"} {
		if _, err := lwm2m.ParseProfiles(bad); !errors.Is(err, lwm2m.ErrQuery) {
			t.Errorf("ParseProfiles(%q) = %v, want ErrQuery", bad, err)
		}
	}
}
