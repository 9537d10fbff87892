package senml_test

import (
	"encoding/hex"
	"errors"
	"math"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/senml"
)

func TestEncode(t *testing.T) {
	first := time.Unix(1700000000, 0)
	for _, c := range []struct {
		name       string
		in         lwm2m.Pack
		json, cbor string
	}{
		{"nothing", lwm2m.Pack{}, `[]`, "80"},
		{
			"Core 1.2.2 §7.5.6, one value",
			lwm2m.Pack{Entries: []lwm2m.Entry{leaf(time.Time{}, lwm2m.Integer(86400), 1, 0, 1)}},
			`[{"n":"/1/0/1","v":86400}]`, "81a200662f312f302f31021a00015180",
		},
		{
			"base name",
			lwm2m.Pack{Entries: []lwm2m.Entry{
				leaf(time.Time{}, lwm2m.String("a\"\n"), 3, 0, 0), leaf(time.Time{}, lwm2m.Boolean(true), 3, 0, 6, 1),
			}},
			`[{"bn":"/3/0/","n":"0","vs":"a\"\u000a"},{"n":"6/1","vb":true}]`,
			"82a321652f332f302f0061300363" + "61220a" + "a20063362f3104f5",
		},
		{
			"no base name",
			lwm2m.Pack{Entries: []lwm2m.Entry{
				leaf(time.Time{}, lwm2m.Opaque([]byte{0xfb, 0xff}), 0, 0, 5), leaf(time.Time{}, lwm2m.Objlnk(3, 0), 16, 0, 22),
			}},
			`[{"n":"/0/0/5","vd":"-_8"},{"n":"/16/0/22","vlo":"3:0"}]`,
			"82a200662f302f302f350842fbffa200682f31362f302f323263766c6f63333a30",
		},
		{
			"history",
			lwm2m.Pack{Entries: []lwm2m.Entry{
				leaf(first, lwm2m.Float(22.5), 72, 1, 2), leaf(first.Add(-1500*time.Millisecond), lwm2m.Float(1e-9), 72, 1, 2),
			}},
			`[{"bn":"/72/1/","bt":1700000000,"n":"2","v":22.5},{"n":"2","t":-1.5,"v":1e-09}]`,
			"82a421662f37322f312f221a6553f100006132" + "02f94da0" + "a3006132" + "06f9be00" + "02fb3e112e0be826d695",
		},
		{
			"times of some",
			lwm2m.Pack{Entries: []lwm2m.Entry{
				leaf(first, lwm2m.Integer(1), 3, 0, 9), leaf(time.Time{}, lwm2m.Unsigned(2), 4, 0, 1),
			}},
			`[{"n":"/3/0/9","t":1700000000,"v":1},{"n":"/4/0/1","v":2}]`,
			"82a300662f332f302f39061a6553f1000201a200662f342f302f310202",
		},
		{
			"prefix",
			lwm2m.Pack{
				Entries: []lwm2m.Entry{leaf(time.Time{}, lwm2m.Integer(1), 3, 0, 9)}, Prefixes: []string{"d01"},
			},
			`[{"n":"/d01/3/0/9","v":1}]`, "81a2006a2f6430312f332f302f390201",
		},
	} {
		text, err := senml.EncodeJSON(c.in, false)
		if err != nil || string(text) != c.json {
			t.Errorf("%s: EncodeJSON() = %s, %v, want %s", c.name, text, err, c.json)
		}
		raw, err := senml.EncodeCBOR(c.in, false)
		if err != nil || hex.EncodeToString(raw) != c.cbor {
			t.Errorf("%s: EncodeCBOR() = %x, %v, want %s", c.name, raw, err, c.cbor)
		}
		for _, body := range []string{string(text), hex.EncodeToString(raw)} {
			if got, err := decode(t, body, senml.Options{Schema: fake{}}); err != nil || len(got.Entries) != len(c.in.Entries) {
				t.Errorf("%s: decode(%s) = %v, %v", c.name, body, got, err)
			}
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []lwm2m.Entry
		err     error
	}{
		{"no leaf", []lwm2m.Entry{leaf(time.Time{}, lwm2m.Integer(1), 3, 0)}, lwm2m.ErrPath},
		{"deletion outside of ETCH", []lwm2m.Entry{leaf(time.Time{}, lwm2m.Value{}, 3, 0, 9)}, lwm2m.ErrValue},
		{
			"twice",
			[]lwm2m.Entry{leaf(time.Time{}, lwm2m.Integer(1), 3, 0, 9), leaf(time.Time{}, lwm2m.Integer(1), 3, 0, 9)},
			lwm2m.ErrDuplicate,
		},
		{"before 1970", []lwm2m.Entry{leaf(time.Unix(-5, 0), lwm2m.Integer(1), 3, 0, 9)}, senml.ErrTime},
		{"after 2106", []lwm2m.Entry{leaf(time.Unix(1<<32, 0), lwm2m.Integer(1), 3, 0, 9)}, senml.ErrTime},
		{
			"small beside none",
			[]lwm2m.Entry{leaf(time.Unix(5, 0), lwm2m.Integer(1), 3, 0, 9), leaf(time.Time{}, lwm2m.Integer(1), 3, 0, 10)},
			senml.ErrTime,
		},
		{
			"small beside large",
			[]lwm2m.Entry{leaf(now, lwm2m.Integer(1), 3, 0, 9), leaf(time.Unix(-5, 0), lwm2m.Integer(1), 3, 0, 10)},
			senml.ErrTime,
		},
	} {
		if got, err := senml.EncodeCBOR(lwm2m.Pack{Entries: c.entries}, false); !errors.Is(err, c.err) {
			t.Errorf("%s: EncodeCBOR() = %x, %v, want %v", c.name, got, err, c.err)
		}
		if got, err := senml.EncodeJSON(lwm2m.Pack{Entries: c.entries}, false); !errors.Is(err, c.err) {
			t.Errorf("%s: EncodeJSON() = %s, %v, want %v", c.name, got, err, c.err)
		}
	}
	for _, f := range []float64{math.NaN(), math.Inf(1)} {
		pack := lwm2m.Pack{Entries: []lwm2m.Entry{leaf(time.Time{}, lwm2m.Float(f), 3, 0, 9)}}
		if got, err := senml.EncodeJSON(pack, false); !errors.Is(err, lwm2m.ErrValue) {
			t.Errorf("EncodeJSON(%v) = %s, %v, want ErrValue", f, got, err)
		}
	}
}

func TestDecodeOMA(t *testing.T) {
	device := lwm2m.NewPath(3, 0)
	for _, c := range []struct {
		name, in string
		base     lwm2m.Path
		want     []lwm2m.Entry
		err      error
	}{
		{
			name: "Core 1.0.2 §6.4.4, names relative to the request", base: device,
			in: `{"e":[{"n":"9","v":1},{"n":"5","sv":"AQI="}]}`,
			want: []lwm2m.Entry{
				leaf(time.Time{}, lwm2m.Integer(1), 3, 0, 9), leaf(time.Time{}, lwm2m.Opaque([]byte{1, 2}), 3, 0, 5),
			},
		},
		{
			name: "no name", base: device.Child(9), in: `{"e":[{"v":1}]}`,
			want: []lwm2m.Entry{leaf(time.Time{}, lwm2m.Integer(1), 3, 0, 9)},
		},
		{
			name: "link", base: device, in: `{"e":[{"n":"22","ov":"3:0"}],"x":{}}`,
			want: []lwm2m.Entry{leaf(time.Time{}, lwm2m.Objlnk(3, 0), 3, 0, 22)},
		},
		{name: "no object", in: `[]`, err: senml.ErrSyntax},
		{name: "no elements", in: `{"bn":"/"}`, err: senml.ErrSyntax},
		{name: "trailing bytes", in: `{"e":[]}{}`, err: senml.ErrSyntax},
		{name: "elements twice", in: `{"e":[],"e":[]}`, err: senml.ErrLabel},
		{name: "two values", base: device, in: `{"e":[{"n":"9","v":1,"sv":"x"}]}`, err: senml.ErrLabel},
		{name: "no value", base: device, in: `{"e":[{"n":"9"}]}`, err: senml.ErrRecord},
		{name: "no path", base: device, in: `{"bn":"x","e":[{"n":"9","v":1}]}`, err: senml.ErrName},
		{name: "no base64", base: device, in: `{"e":[{"n":"5","sv":"*"}]}`, err: lwm2m.ErrValue},
		{name: "no link", base: device, in: `{"e":[{"n":"22","ov":"x"}]}`, err: lwm2m.ErrValue},
		{
			name: "too many", base: device, in: `{"e":[` + repeat(`{"n":"9","v":1}`, lwm2m.MaxEntries+1) + `]}`,
			err: senml.ErrLimit,
		},
	} {
		got, err := senml.DecodeOMA(c.base, []byte(c.in), senml.Options{Schema: fake{}})
		if !errors.Is(err, c.err) || !same(got.Entries, c.want) {
			t.Errorf("%s: DecodeOMA(%.60s) = %v, %v, want %v, %v", c.name, c.in, got.Entries, err, c.want, c.err)
		}
	}
}

func repeat(s string, n int) string {
	out := []byte(s)
	for range n - 1 {
		out = append(append(out, ','), s...)
	}
	return string(out)
}

// TestDecodeCBORAllocates counts: one slice for all values, nothing for numbers.
func TestDecodeCBORAllocates(t *testing.T) {
	body, _ := hex.DecodeString("83a321652f332f302f006139021864a20063362f300201a20063362f310205")
	n := testing.AllocsPerRun(100, func() {
		if _, err := senml.DecodeCBOR(body, senml.Options{}); err != nil {
			t.Fatal(err)
		}
	})
	if n > 4 {
		t.Errorf("DecodeCBOR allocates %v times, want 4 at most", n)
	}
}
