package lwm2m_test

import (
	"errors"
	"strings"
	"testing"

	"steward/lwm2m"
)

func TestParseEndpoint(t *testing.T) {
	for _, c := range []struct {
		in  string
		err error
	}{
		{in: "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
		{in: "Gerät 1"},
		{in: strings.Repeat("a", lwm2m.MaxEndpoint)},
		{in: "", err: lwm2m.ErrEndpoint},
		{in: strings.Repeat("a", lwm2m.MaxEndpoint+1), err: lwm2m.ErrEndpoint},
		{in: "a\nb", err: lwm2m.ErrEndpoint},
		{in: "a\xffb", err: lwm2m.ErrEndpoint},
	} {
		got, err := lwm2m.ParseEndpoint(c.in)
		if !errors.Is(err, c.err) || (c.err == nil && string(got) != c.in) {
			t.Errorf("ParseEndpoint(%q) = %q, %v, want %v", c.in, got, err, c.err)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for _, c := range []struct {
		in   string
		want lwm2m.Version
		err  error
	}{
		{"", lwm2m.Version10, nil},
		{"1.0", lwm2m.Version10, nil},
		{"1.1", lwm2m.Version11, nil},
		{"1.2", lwm2m.Version12, nil},
		{"2.0", "", lwm2m.ErrVersion},
		{"1", "", lwm2m.ErrVersion},
	} {
		if got, err := lwm2m.ParseVersion(c.in); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("ParseVersion(%q) = %q, %v, want %q, %v", c.in, got, err, c.want, c.err)
		}
	}
}

type deviceSchema struct{}

func (deviceSchema) Resource(object, resource uint16) (lwm2m.ResourceInfo, bool) {
	if object == 3 && resource == 13 {
		return lwm2m.ResourceInfo{Name: "Current Time", Kind: lwm2m.KindTime, Operations: lwm2m.OpRead | lwm2m.OpWrite}, true
	}
	return lwm2m.ResourceInfo{}, false
}

func TestKindOf(t *testing.T) {
	s := deviceSchema{}
	for _, c := range []struct {
		s    lwm2m.Schema
		p    lwm2m.Path
		want lwm2m.Kind
	}{
		{s, lwm2m.NewPath(3, 0, 13), lwm2m.KindTime},
		{s, lwm2m.NewPath(3, 0, 13, 0), lwm2m.KindTime},
		{s, lwm2m.NewPath(3, 0), lwm2m.KindNone},
		{s, lwm2m.NewPath(3, 0, 14), lwm2m.KindNone},
		{nil, lwm2m.NewPath(3, 0, 13), lwm2m.KindNone},
	} {
		if got := lwm2m.KindOf(c.s, c.p); got != c.want {
			t.Errorf("KindOf(%v) = %s, want %s", c.p, got, c.want)
		}
	}
	info, _ := s.Resource(3, 13)
	if !info.Operations.Has(lwm2m.OpRead) || info.Operations.Has(lwm2m.OpRead|lwm2m.OpExecute) {
		t.Errorf("Has() of %b", info.Operations)
	}
}

func TestParseKind(t *testing.T) {
	for k := lwm2m.KindNone; k <= lwm2m.KindCorelnk; k++ {
		if got, ok := lwm2m.ParseKind(k.String()); got != k || !ok {
			t.Errorf("ParseKind(%q) = %v, %v", k.String(), got, ok)
		}
	}
	if _, ok := lwm2m.ParseKind("kind(77)"); ok || lwm2m.Kind(77).String() != "kind(77)" {
		t.Error("an unknown kind has a name")
	}
}
