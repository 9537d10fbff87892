package lwcbor_test

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/lwcbor"
)

// fake types a few resources of every object.
type fake struct{}

func (fake) Resource(_, resource uint16) (lwm2m.ResourceInfo, bool) {
	k, ok := map[uint16]lwm2m.Kind{
		0: lwm2m.KindString, 9: lwm2m.KindInteger, 13: lwm2m.KindTime, 22: lwm2m.KindObjlnk, 5700: lwm2m.KindFloat,
	}[resource]
	return lwm2m.ResourceInfo{Kind: k}, ok
}

func leaf(v lwm2m.Value, ids ...uint16) lwm2m.Entry {
	return lwm2m.Entry{Path: lwm2m.NewPath(ids...), Value: v}
}

func TestCodec(t *testing.T) {
	for _, c := range []struct {
		name, in, again string // again: what Encode returns, if not in
		want            []lwm2m.Entry
		prefixes        []string
	}{
		{name: "nothing", in: "a0"},
		{
			name: "Core 1.2.2 §7.5.4.1", in: "a183030000744f70656e204d6f62696c6520416c6c69616e6365",
			want: []lwm2m.Entry{leaf(lwm2m.String("Open Mobile Alliance"), 3, 0, 0)},
		},
		{name: "one value", in: "a18303000901", want: []lwm2m.Entry{leaf(lwm2m.Integer(1), 3, 0, 9)}},
		{
			name: "nested maps", in: "a103a100a10901", again: "a18303000901",
			want: []lwm2m.Entry{leaf(lwm2m.Integer(1), 3, 0, 9)},
		},
		{
			name: "indefinite lengths", in: "bf9f0300ffbf0901ffff", again: "a18303000901",
			want: []lwm2m.Entry{leaf(lwm2m.Integer(1), 3, 0, 9)},
		},
		{
			name: "siblings", in: "a103a200a20901820601028201" + "0903",
			want: []lwm2m.Entry{
				leaf(lwm2m.Integer(1), 3, 0, 9), leaf(lwm2m.Integer(2), 3, 0, 6, 1), leaf(lwm2m.Integer(3), 3, 1, 9),
			},
			again: "-",
		},
		{
			name: "Create without an instance", in: "a1820319ffffa10901", again: "a1830319ffff0901",
			want: []lwm2m.Entry{leaf(lwm2m.Integer(1), 3, lwm2m.NoID, 9)},
		},
		{
			name: "Gateway 1.1.1 §10, two devices", in: "a284636430310300" + "09" + "01" + "84636430320300" + "09" + "02",
			want:     []lwm2m.Entry{leaf(lwm2m.Integer(1), 3, 0, 9), leaf(lwm2m.Integer(2), 3, 0, 9)},
			prefixes: []string{"d01", "d02"},
		},
		{
			name: "link, date, number for Float", in: "a3841000160063333a30" + "8303000dc100" + "83190ce70019164414", again: "-",
			want: []lwm2m.Entry{
				leaf(lwm2m.Objlnk(3, 0), 16, 0, 22, 0), leaf(lwm2m.Time(0), 3, 0, 13), leaf(lwm2m.Float(20), 3303, 0, 5700),
			},
		},
	} {
		body, err := hex.DecodeString(c.in)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got, err := lwcbor.Decode(body, fake{})
		if err != nil || !slices.Equal(got.Entries, c.want) || !slices.Equal(got.Prefixes, c.prefixes) {
			t.Errorf("%s: Decode(%s) = %v, %v, want %v", c.name, c.in, got, err, c.want)
			continue
		}
		again, err := lwcbor.Encode(got)
		if c.again == "" {
			c.again = c.in
		}
		if err != nil || (c.again != "-" && hex.EncodeToString(again) != c.again) {
			t.Errorf("%s: Encode(%v) = %x, %v, want %s", c.name, got, again, err, c.again)
		}
		if back, err := lwcbor.Decode(again, fake{}); err != nil || len(back.Entries) != len(got.Entries) {
			t.Errorf("%s: Decode(%x) = %v, %v, want %v", c.name, again, back, err, got)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name, in string
		err      error
	}{
		{"nothing", "", lwcbor.ErrSyntax},
		{"no map", "80", lwcbor.ErrSyntax},
		{"cut", "a1830300", lwcbor.ErrSyntax},
		{"cut before a value", "a183030009", lwcbor.ErrSyntax},
		{"trailing bytes", "a000", lwcbor.ErrSyntax},
		{"huge map", "bbffffffffffffffff", lwcbor.ErrSyntax},
		{"huge array key", "a19bffffffffffffffff03", lwcbor.ErrSyntax},
		{"negative key", "a12000", lwcbor.ErrSyntax},
		{"null", "a183030009f6", lwcbor.ErrSyntax},
		{"array value", "a18303000980", lwcbor.ErrSyntax},
		{"no end", "bf83030009" + "01", lwcbor.ErrSyntax},
		{"empty key", "a18001", lwcbor.ErrPath},
		{"value of an instance", "a182030001", lwcbor.ErrPath},
		{"five identifiers", "a185030006000001", lwcbor.ErrPath},
		{"five levels", "a103a100a106a100a10001", lwcbor.ErrPath},
		{"identifier out of range", "a183031a00010000" + "0901", lwcbor.ErrPath},
		{"reserved identifier", "a183030019ffff01", lwcbor.ErrPath},
		{"text in the middle", "a18403636430310009" + "01", lwcbor.ErrPath},
		{"prefix below the top", "a103a182636430310001", lwcbor.ErrPath},
		{"empty prefix", "a1846003000901", lwcbor.ErrPath},
		{"long prefix", "a1847850" + strings.Repeat("61", 80) + "03000901", lwcbor.ErrPath},
		{"bytes as identifier", "a18341030009" + "01", lwcbor.ErrPath},
		{"path twice", "a2830300090183030009" + "02", lwm2m.ErrDuplicate},
		{"path twice, otherwise grouped", "a28303000901" + "820300a10902", lwm2m.ErrDuplicate},
		{"text for Integer", "a1830300096161", lwm2m.ErrValue},
		{"below int64", "a1830300093bffffffffffffffff", lwm2m.ErrValue},
		{"too many", "bf" + strings.Repeat("8303000901", lwm2m.MaxEntries+1) + "ff", lwcbor.ErrLimit},
	} {
		body, err := hex.DecodeString(c.in)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got, err := lwcbor.Decode(body, fake{}); !errors.Is(err, c.err) {
			t.Errorf("%s: Decode(%.60s) = %v, %v, want %v", c.name, c.in, got.Entries, err, c.err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []lwm2m.Entry
		err     error
	}{
		{"no leaf", []lwm2m.Entry{leaf(lwm2m.Integer(1), 3, 0)}, lwm2m.ErrPath},
		{"no value", []lwm2m.Entry{leaf(lwm2m.Value{}, 3, 0, 9)}, lwm2m.ErrValue},
		{"twice", []lwm2m.Entry{leaf(lwm2m.Integer(1), 3, 0, 9), leaf(lwm2m.Integer(2), 3, 0, 9)}, lwm2m.ErrDuplicate},
	} {
		if got, err := lwcbor.Encode(lwm2m.Pack{Entries: c.entries}); !errors.Is(err, c.err) {
			t.Errorf("%s: Encode() = %x, %v, want %v", c.name, got, err, c.err)
		}
	}
	var history lwm2m.Pack // for which the format has no times
	history.Add("", lwm2m.Entry{Path: lwm2m.NewPath(3, 0, 9), Value: lwm2m.Integer(1), Time: time.Unix(1, 0)})
	history.Add("", lwm2m.Entry{Path: lwm2m.NewPath(3, 0, 9), Value: lwm2m.Integer(2), Time: time.Unix(2, 0)})
	if got, err := lwcbor.Encode(history); !errors.Is(err, lwm2m.ErrDuplicate) {
		t.Errorf("Encode() = %x, %v, want ErrDuplicate", got, err)
	}
}
