package senml_test

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/senml"
)

// fake types a few resources of every object.
type fake struct{}

func (fake) Resource(_, resource uint16) (lwm2m.ResourceInfo, bool) {
	k, ok := map[uint16]lwm2m.Kind{
		0: lwm2m.KindString, 5: lwm2m.KindOpaque, 9: lwm2m.KindInteger,
		13: lwm2m.KindTime, 22: lwm2m.KindObjlnk, 5700: lwm2m.KindFloat,
	}[resource]
	return lwm2m.ResourceInfo{Kind: k}, ok
}

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func leaf(at time.Time, v lwm2m.Value, ids ...uint16) lwm2m.Entry {
	return lwm2m.Entry{Path: lwm2m.NewPath(ids...), Value: v, Time: at}
}

func same(a, b []lwm2m.Entry) bool {
	return slices.EqualFunc(a, b, func(x, y lwm2m.Entry) bool {
		return x.Path == y.Path && x.Value == y.Value && x.Time.Equal(y.Time)
	})
}

// decode reads text as SenML JSON, or hex as CBOR.
func decode(t *testing.T, body string, o senml.Options) (lwm2m.Pack, error) {
	t.Helper()
	if raw, err := hex.DecodeString(body); err == nil && body != "" {
		return senml.DecodeCBOR(raw, o)
	}
	return senml.DecodeJSON([]byte(body), o)
}

func TestDecode(t *testing.T) {
	options := senml.Options{Schema: fake{}, Now: now}
	for _, c := range []struct {
		name, in string
		want     []lwm2m.Entry
	}{
		{"empty pack", "[]", nil},
		{
			"white space", " [ {\t\"n\" : \"/3/0/9\" , \"v\" : 1 } ]\n",
			[]lwm2m.Entry{leaf(time.Time{}, lwm2m.Integer(1), 3, 0, 9)},
		},
		{
			"escapes", `[{"n":"\/3\/0\/0","vs":"\u00fc\ud83d\ude00\n\"\\"}]`,
			[]lwm2m.Entry{leaf(time.Time{}, lwm2m.String("ü😀\n\"\\"), 3, 0, 0)},
		},
		{
			"integral float for Integer", `[{"n":"/3/0/9","v":2e1}]`,
			[]lwm2m.Entry{leaf(time.Time{}, lwm2m.Integer(20), 3, 0, 9)},
		},
		{
			"integer for Float", `[{"n":"/3303/0/5700","v":20}]`,
			[]lwm2m.Entry{leaf(time.Time{}, lwm2m.Float(20), 3303, 0, 5700)},
		},
		{
			"large integer", `[{"n":"/3/0/9","v":9223372036854775807}]`,
			[]lwm2m.Entry{leaf(time.Time{}, lwm2m.Integer(1<<63-1), 3, 0, 9)},
		},
		{"RFC 8428 §4.5.2, base value", `[{"bn":"/3/0/","bv":10,"n":"9","v":1},{"n":"0","vs":"x"}]`, []lwm2m.Entry{
			leaf(time.Time{}, lwm2m.Integer(11), 3, 0, 9), leaf(time.Time{}, lwm2m.String("x"), 3, 0, 0),
		}},
		{
			"unknown field", `[{"n":"/3/0/9","v":1,"x":{"a":[null,true,false,-1.5e+3,"s"]},"u":"Cel","ut":5,"bs":1}]`,
			[]lwm2m.Entry{leaf(time.Time{}, lwm2m.Integer(1), 3, 0, 9)},
		},
		{"version 10", `[{"bver":10,"n":"/3/0/9","v":1}]`, []lwm2m.Entry{leaf(time.Time{}, lwm2m.Integer(1), 3, 0, 9)}},
		{
			"padded, other alphabet", `[{"n":"/0/0/5","vd":"+/8="}]`,
			[]lwm2m.Entry{leaf(time.Time{}, lwm2m.Opaque([]byte{0xfb, 0xff}), 0, 0, 5)},
		},
		{
			"RFC 8428 §4.5.3, absolute", `[{"n":"/3/0/9","v":1,"t":1276020076.5}]`,
			[]lwm2m.Entry{leaf(time.UnixMilli(1276020076500), lwm2m.Integer(1), 3, 0, 9)},
		},
		{
			"RFC 8428 §4.5.3, relative", `[{"n":"/3/0/9","v":1,"t":-5}]`,
			[]lwm2m.Entry{leaf(now.Add(-5*time.Second), lwm2m.Integer(1), 3, 0, 9)},
		},
		{
			"Create without an instance", `[{"n":"/3/65535/9","v":1}]`,
			[]lwm2m.Entry{leaf(time.Time{}, lwm2m.Integer(1), 3, lwm2m.NoID, 9)},
		},
		{
			"RFC 8428 §6, decimal fraction", "81a2006c2f333330332f302f3537303002c482200f",
			[]lwm2m.Entry{leaf(time.Time{}, lwm2m.Float(1.5), 3303, 0, 5700)},
		},
		{"indefinite lengths", "9fbf00662f332f302f390201ffff", []lwm2m.Entry{leaf(time.Time{}, lwm2m.Integer(1), 3, 0, 9)}},
		{
			"unknown CBOR fields", "81a4" + "00662f332f302f39" + "0201" + "1863a10102" + "617880",
			[]lwm2m.Entry{leaf(time.Time{}, lwm2m.Integer(1), 3, 0, 9)},
		},
	} {
		got, err := decode(t, c.in, options)
		if err != nil || !same(got.Entries, c.want) {
			t.Errorf("%s: decode(%s) = %v, %v, want %v", c.name, c.in, got.Entries, err, c.want)
		}
	}
	got, err := decode(t, `[{"n":"/3/0/9","v":1,"t":-5}]`, senml.Options{})
	if err != nil || !got.Entries[0].Time.IsZero() {
		t.Errorf("relative time without now = %v, %v, want none", got.Entries, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name, in string
		err      error
	}{
		{"nothing", "", senml.ErrSyntax},
		{"no list", `{"n":"/3/0/9","v":1}`, senml.ErrSyntax},
		{"trailing comma", `[{"n":"/3/0/9","v":1},]`, senml.ErrSyntax},
		{"trailing bytes", `[] x`, senml.ErrSyntax},
		{"trailing zero byte", "[]\x00", senml.ErrSyntax},
		{"comment", `[/**/]`, senml.ErrSyntax},
		{"leading zero", `[{"n":"/3/0/9","v":0101}]`, senml.ErrSyntax},
		{"no digits", `[{"n":"/3/0/9","v":1.}]`, senml.ErrSyntax},
		{"no exponent", `[{"n":"/3/0/9","v":1e}]`, senml.ErrSyntax},
		{"single quotes", `[{'n':"/3/0/9"}]`, senml.ErrSyntax},
		{"no colon", `[{"n" "/3/0/9"}]`, senml.ErrSyntax},
		{"raw control character", "[{\"n\":\"/3\n\"}]", senml.ErrSyntax},
		{"half a surrogate pair", `[{"n":"/3/0/0","vs":"\ud83d"}]`, senml.ErrSyntax},
		{"unknown escape", `[{"n":"/3/0/0","vs":"\x"}]`, senml.ErrSyntax},
		{"short escape", `[{"n":"/3/0/0","vs":"\u00"}]`, senml.ErrSyntax},
		{"not UTF-8", "[{\"n\":\"/3/0/0\",\"vs\":\"\xff\"}]", senml.ErrSyntax},
		{"not UTF-8 beside an escape", "[{\"n\":\"/3/0/0\",\"vs\":\"\\n\xff\"}]", senml.ErrSyntax},
		{"string not closed", `[{"n":"/3`, senml.ErrSyntax},
		{"escaped string not closed", `[{"n":"/3\n`, senml.ErrSyntax},
		{"nested too deep", `[{"x":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}]`, senml.ErrSyntax},
		{"Boolean as text", `[{"n":"/3/0/9","vb":"true"}]`, senml.ErrSyntax},
		{"no array", "a0", senml.ErrSyntax},
		{"no map", "8100", senml.ErrSyntax},
		{"cut", "81a200662f332f302f3902", senml.ErrSyntax},
		{"trailing CBOR", "8000", senml.ErrSyntax},
		{"array value", "81a200662f332f302f390280", senml.ErrSyntax},
		{"huge array", "9bffffffffffffffff", senml.ErrSyntax},
		{"field twice", `[{"n":"/3/0/9","v":1,"v":2}]`, senml.ErrLabel},
		{"name twice", `[{"n":"/3/0/9","n":"/3/0/9","v":1}]`, senml.ErrLabel},
		{"two values", `[{"n":"/3/0/0","v":1,"vs":"x"}]`, senml.ErrLabel},
		{"must be understood", `[{"n":"/3/0/9","v":1,"x_":2}]`, senml.ErrLabel},
		{"CBOR field twice", "81a300662f332f302f3902010202", senml.ErrLabel},
		{"CBOR must be understood", "81a300662f332f302f39020162785f00", senml.ErrLabel},
		{"text as number", "81a200662f332f302f390261" + "31", senml.ErrLabel},
		{"number as name", "81a200010201", senml.ErrLabel},
		{"key of another type", "81a14100f5", senml.ErrLabel},
		{"infinite time", "81a300662f332f302f39020106f97c00", senml.ErrLabel},
		{"no value", `[{"n":"/3/0/9"}]`, senml.ErrRecord},
		{"null outside of ETCH", `[{"n":"/3/0/9","v":null}]`, senml.ErrRecord},
		{"no name", `[{"v":1}]`, senml.ErrName},
		{"relative name", `[{"n":"3/0/9","v":1}]`, senml.ErrName},
		{"slash at the end", `[{"n":"/3/0/9/","v":1}]`, senml.ErrName},
		{"leading zero in a name", `[{"n":"/3/0/09","v":1}]`, senml.ErrName},
		{"identifier out of range", `[{"n":"/3/0/65536","v":1}]`, senml.ErrName},
		{"reserved identifier", `[{"n":"/3/0/65535","v":1}]`, senml.ErrName},
		{"five levels", `[{"n":"/3/0/6/0/0","v":1}]`, senml.ErrName},
		{"value of an instance", `[{"n":"/3/0","v":1}]`, senml.ErrName},
		{"empty segment", `[{"n":"//3/0/9","v":1}]`, senml.ErrName},
		{"long name", `[{"n":"/` + strings.Repeat("a", 200) + `/3/0/9","v":1}]`, senml.ErrName},
		{"long prefix", `[{"n":"/` + strings.Repeat("a", 70) + `/3/0/9","v":1}]`, senml.ErrName},
		{"later version", `[{"bver":11,"n":"/3/0/9","v":1}]`, senml.ErrVersion},
		{"time out of range", `[{"n":"/3/0/9","v":1,"t":1e30}]`, senml.ErrTime},
		{"path twice", `[{"n":"/3/0/9","v":1},{"n":"/3/0/9","v":2}]`, lwm2m.ErrDuplicate},
		{"fraction for Integer", `[{"n":"/3/0/9","v":1.5}]`, lwm2m.ErrValue},
		{"text for Integer", `[{"n":"/3/0/9","vs":"1"}]`, lwm2m.ErrValue},
		{"number out of range", `[{"n":"/3/0/9","v":1e999}]`, lwm2m.ErrValue},
		{"no link", `[{"n":"/3/0/22","vlo":"x"}]`, lwm2m.ErrValue},
		{"no base64", `[{"n":"/0/0/5","vd":"a*"}]`, lwm2m.ErrValue},
		{"bits left over in base64", `[{"n":"/0/0/5","vd":"AR"}]`, lwm2m.ErrValue},
		{"too much padding", `[{"n":"/0/0/5","vd":"AQ==="}]`, lwm2m.ErrValue},
		{"too many", "[" + strings.Repeat(`{"n":"/3/0/9","v":1},`, lwm2m.MaxEntries+1) + `{}]`, senml.ErrLimit},
	} {
		if got, err := decode(t, c.in, senml.Options{Schema: fake{}}); !errors.Is(err, c.err) {
			t.Errorf("%s: decode(%.60q) = %v, %v, want %v", c.name, c.in, got.Entries, err, c.err)
		}
	}
}

func TestDecodePaths(t *testing.T) {
	paths, err := senml.DecodePathsJSON([]byte(`[{"bn":"/lwm2m/3/0/","n":"0"},{"n":"9"},{"bn":"/lwm2m","n":""}]`), "lwm2m")
	want := []lwm2m.Path{lwm2m.NewPath(3, 0, 0), lwm2m.NewPath(3, 0, 9), {}}
	if err != nil || !slices.Equal(paths, want) {
		t.Errorf("DecodePathsJSON() = %v, %v, want %v", paths, err, want)
	}
	for _, encode := range []func([]lwm2m.Path, string) []byte{senml.EncodePathsCBOR, senml.EncodePathsJSON} {
		body := encode(want, "lwm2m")
		read := senml.DecodePathsCBOR
		if body[0] == '[' {
			read = senml.DecodePathsJSON
		}
		if got, err := read(body, "lwm2m"); err != nil || !slices.Equal(got, want) {
			t.Errorf("paths of %q = %v, %v, want %v", body, got, err, want)
		}
	}
	for _, c := range []struct {
		name, in string
		err      error
	}{
		{"value", `[{"n":"/3/0/9","v":1}]`, senml.ErrRecord},
		{"no name", `[{}]`, senml.ErrRecord},
		{"no path", `[{"n":"x"}]`, senml.ErrName},
		{"twice", `[{"n":"/3"},{"n":"/4"},{"n":"/3"}]`, lwm2m.ErrDuplicate},
		{"another root", `[{"n":"/lwm2m/3"}]`, lwm2m.ErrPrefix},
	} {
		if got, err := senml.DecodePathsJSON([]byte(c.in), ""); !errors.Is(err, c.err) {
			t.Errorf("%s: DecodePathsJSON(%s) = %v, %v, want %v", c.name, c.in, got, err, c.err)
		}
	}
}
