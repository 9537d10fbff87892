package lwm2m_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"steward/lwm2m"
)

func TestParseAttributes(t *testing.T) {
	for _, c := range []struct {
		in  string
		err error
	}{
		{in: "pmin=1&pmax=5&lt=5"},
		{in: "gt=-45.5&st=10"},
		{in: "epmin=1&epmax=20&edge=1&con=0&hqmax=5"},
		{in: "pmin"},
		{in: "dim=2", err: lwm2m.ErrAttribute},
		{in: "pmin=-1", err: lwm2m.ErrAttribute},
		{in: "pmin=1.5", err: lwm2m.ErrAttribute},
		{in: "pmin=", err: lwm2m.ErrAttribute},
		{in: "pmin=4294967296", err: lwm2m.ErrAttribute},
		{in: "con=2", err: lwm2m.ErrAttribute},
		{in: "st=-1", err: lwm2m.ErrAttribute},
		{in: "gt=NaN", err: lwm2m.ErrAttribute},
		{in: "pmin=1&pmin=2", err: lwm2m.ErrQuery},
		{in: "=1", err: lwm2m.ErrQuery},
	} {
		got, err := lwm2m.ParseAttributes(strings.Split(c.in, "&"))
		if !errors.Is(err, c.err) {
			t.Errorf("ParseAttributes(%q) = %v, want %v", c.in, err, c.err)
		}
		if again := strings.Join(got.Query(), "&"); c.err == nil && again != c.in {
			t.Errorf("Query() = %q, want %q", again, c.in)
		}
	}
}

func attributes(t *testing.T, text string) lwm2m.Attributes {
	t.Helper()
	a, err := lwm2m.ParseAttributes(strings.Split(text, "&"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAttributesCheck(t *testing.T) {
	for _, c := range []struct {
		name, in string
		err      error
	}{
		{"Core 1.2.2 §7.3.2, consistent", "lt=20&gt=85&st=10", nil},
		{"lt + 2·st reaches gt", "lt=20&gt=40&st=10", lwm2m.ErrAttribute},
		{"lt equals gt", "lt=20&gt=20", lwm2m.ErrAttribute},
		{"lt above gt", "lt=21&gt=20", lwm2m.ErrAttribute},
		{"step alone", "st=100&gt=1", nil},
		{"pmax below pmin is ignored", "pmin=10&pmax=5", nil},
		{"epmax equals epmin", "epmin=5&epmax=5", lwm2m.ErrAttribute},
		{"evaluation periods", "epmin=1&epmax=5", nil},
		{"unset", "lt&gt=1", nil},
	} {
		if err := attributes(t, c.in).Check(); !errors.Is(err, c.err) {
			t.Errorf("%s: Check() = %v, want %v", c.name, err, c.err)
		}
	}
	if err := (lwm2m.Attributes{{Name: "x"}}).Check(); !errors.Is(err, lwm2m.ErrAttribute) {
		t.Errorf("Check() = %v of an unknown name", err)
	}
}

func TestAttributesApply(t *testing.T) {
	before := attributes(t, "pmin=1&gt=5")
	after := before.Apply(attributes(t, "pmin&pmax=60&gt=6"))
	if got := after.Query(); !slices.Equal(got, []string{"pmax=60", "gt=6"}) {
		t.Errorf("Apply() = %v", got)
	}
	if got := before.Query(); !slices.Equal(got, []string{"pmin=1", "gt=5"}) {
		t.Errorf("Apply() changed its operand to %v", got)
	}
	if _, ok := after.Get(lwm2m.AttributePmin); ok {
		t.Error("pmin is still set")
	}
}

func TestAttributesApplicable(t *testing.T) {
	leaf, instance := lwm2m.NewPath(3, 0, 9), lwm2m.NewPath(3, 0)
	for _, c := range []struct {
		in   string
		path lwm2m.Path
		kind lwm2m.Kind
		err  error
	}{
		{"gt=5", leaf, lwm2m.KindInteger, nil},
		{"gt=5", leaf, lwm2m.KindNone, nil},
		{"edge=1", leaf, lwm2m.KindBoolean, nil},
		{"pmin=5", instance, lwm2m.KindNone, nil},
		{"gt=5", instance, lwm2m.KindNone, lwm2m.ErrAttribute},
		{"gt=5", leaf, lwm2m.KindString, lwm2m.ErrAttribute},
		{"edge=1", leaf, lwm2m.KindInteger, lwm2m.ErrAttribute},
		{"pmin=5", lwm2m.Path{}, lwm2m.KindNone, lwm2m.ErrAttribute},
	} {
		if err := attributes(t, c.in).Applicable(c.path, c.kind); !errors.Is(err, c.err) {
			t.Errorf("%s.Applicable(%s, %s) = %v, want %v", c.in, c.path, c.kind, err, c.err)
		}
	}
}
