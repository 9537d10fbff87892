package tlv_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/tlv"
)

// fake knows a few resources of every object.
type fake struct{}

var fakeKinds = map[uint16]lwm2m.Kind{
	0: lwm2m.KindString, 6: lwm2m.KindInteger, 9: lwm2m.KindInteger, 13: lwm2m.KindTime, 14: lwm2m.KindBoolean,
	15: lwm2m.KindFloat, 16: lwm2m.KindUnsigned, 22: lwm2m.KindObjlnk, 23: lwm2m.KindCorelnk, 24: lwm2m.KindOpaque,
}

func (fake) Resource(_, resource uint16) (lwm2m.ResourceInfo, bool) {
	k, ok := fakeKinds[resource]
	return lwm2m.ResourceInfo{Kind: k}, ok
}

var (
	device   = lwm2m.NewPath(3)
	instance = lwm2m.NewPath(3, 0)
	big      = strings.Repeat("ab", 300)
)

func leaf(v lwm2m.Value, ids ...uint16) lwm2m.Entry {
	return lwm2m.Entry{Path: lwm2m.NewPath(ids...), Value: v}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name  string
		base  lwm2m.Path
		in    string
		again string // what Encode returns, if not in; "-" for nothing
		want  []lwm2m.Entry
	}{
		{
			name: "Core 1.2.2 §7.5.5.1, resource 9", base: instance, in: "c10964",
			want: []lwm2m.Entry{leaf(lwm2m.Integer(100), 3, 0, 9)},
		},
		{
			name: "Core 1.2.2 §7.5.5.1, resource 6", base: instance, in: "8606410001410105",
			want: []lwm2m.Entry{leaf(lwm2m.Integer(1), 3, 0, 6, 0), leaf(lwm2m.Integer(5), 3, 0, 6, 1)},
		},
		{
			name: "object instances", base: device, in: "0300c109640301c10901",
			want: []lwm2m.Entry{leaf(lwm2m.Integer(100), 3, 0, 9), leaf(lwm2m.Integer(1), 3, 1, 9)},
		},
		{name: "empty instance", base: device, in: "0000", again: "-", want: []lwm2m.Entry{}},
		{
			name: "Create without an instance", base: device, in: "c10964",
			want: []lwm2m.Entry{leaf(lwm2m.Integer(100), 3, lwm2m.NoID, 9)},
		},
		{
			name: "wrapper around an instance", base: instance, in: "0300c10964", again: "c10964",
			want: []lwm2m.Entry{leaf(lwm2m.Integer(100), 3, 0, 9)},
		},
		{
			name: "resource", base: lwm2m.NewPath(3, 0, 9), in: "c10964",
			want: []lwm2m.Entry{leaf(lwm2m.Integer(100), 3, 0, 9)},
		},
		{
			name: "bare resource instance", base: lwm2m.NewPath(3, 0, 6, 1), in: "410105", again: "8306410105",
			want: []lwm2m.Entry{leaf(lwm2m.Integer(5), 3, 0, 6, 1)},
		},
		{
			name: "wrapped resource instance", base: lwm2m.NewPath(3, 0, 6, 1), in: "8306410105",
			want: []lwm2m.Entry{leaf(lwm2m.Integer(5), 3, 0, 6, 1)},
		},
		{name: "multiple resource without instances", base: lwm2m.NewPath(3, 0, 6), in: "8006", want: []lwm2m.Entry{}},
		{
			name: "16-bit identifier", base: instance, in: "e1013601",
			want: []lwm2m.Entry{leaf(lwm2m.Opaque([]byte{1}), 3, 0, 310)},
		},
		{
			name: "16-bit length", base: instance, in: "d018012c" + big,
			want: []lwm2m.Entry{leaf(lwm2m.Opaque(bytes.Repeat([]byte{0xab}, 300)), 3, 0, 24)},
		},
		{name: "negative, 2 bytes", base: instance, in: "c209ff00", want: []lwm2m.Entry{leaf(lwm2m.Integer(-256), 3, 0, 9)}},
		{
			name: "integer longer than need be", base: instance, in: "c40900000001", again: "c10901",
			want: []lwm2m.Entry{leaf(lwm2m.Integer(1), 3, 0, 9)},
		},
		{
			name: "8-byte unsigned", base: instance, in: "c81008ffffffffffffffff",
			want: []lwm2m.Entry{leaf(lwm2m.Unsigned(1<<64-1), 3, 0, 16)},
		},
		{
			name: "the other types", base: instance,
			in: "c10107" + "c40d5182428f" + "c10e01" + "c40f41b40000" + "c41600030000" + "c317616263",
			want: []lwm2m.Entry{
				leaf(lwm2m.Opaque([]byte{7}), 3, 0, 1), leaf(lwm2m.Time(1367491215), 3, 0, 13), leaf(lwm2m.Boolean(true), 3, 0, 14),
				leaf(lwm2m.Float(22.5), 3, 0, 15), leaf(lwm2m.Objlnk(3, 0), 3, 0, 22), leaf(lwm2m.Corelnk("abc"), 3, 0, 23),
			},
		},
	} {
		body, _ := hex.DecodeString(c.in)
		got, err := tlv.Decode(c.base, body, fake{})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: Decode(%s, %s) = %v, %v, want %v", c.name, c.base, c.in, got, err, c.want)
			continue
		}
		if c.again == "" {
			c.again = c.in
		}
		if again, err := tlv.Encode(c.base, got); err != nil || hex.EncodeToString(again) != strings.Trim(c.again, "-") {
			t.Errorf("%s: Encode(%s, %v) = %x, %v, want %s", c.name, c.base, got, again, err, c.again)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		base lwm2m.Path
		in   string
		err  error
	}{
		{"type alone", instance, "c1", tlv.ErrTruncated},
		{"length field cut", instance, "d00001", tlv.ErrTruncated},
		{"length overruns input", instance, "c80905ff", tlv.ErrTruncated},
		{"24-bit length overruns input", instance, "d800ffffff", tlv.ErrTruncated},
		{"inner record overruns its container", device, "0300c20964", tlv.ErrTruncated},
		{"the root has no records", lwm2m.Path{}, "c10964", tlv.ErrNesting},
		{"instance in instance", device, "0500" + "0300c10964", tlv.ErrNesting},
		{"resource in multiple resource", instance, "8303c10005", tlv.ErrNesting},
		{"resource instance at an instance", instance, "410005", tlv.ErrNesting},
		{"resource instance in an instance", device, "0300410005", tlv.ErrNesting},
		{"multiple in multiple", instance, "8506" + "8301" + "410005", tlv.ErrNesting},
		{"four levels", device, "080009" + "8703" + "8502" + "8301" + "410005", tlv.ErrNesting},
		{"another instance", instance, "0301c10964", tlv.ErrIdentifier},
		{"another resource", lwm2m.NewPath(3, 0, 9), "c10a64", tlv.ErrIdentifier},
		{"another multiple resource", lwm2m.NewPath(3, 0, 9), "8306410005", tlv.ErrIdentifier},
		{"another resource instance", lwm2m.NewPath(3, 0, 6, 1), "410005", tlv.ErrIdentifier},
		{"reserved identifier", instance, "e1ffff01", tlv.ErrIdentifier},
		{"too many values", instance, strings.Repeat("c001", lwm2m.MaxEntries+1), tlv.ErrLimit},
		{"integer of 3 bytes", instance, "c309010203", lwm2m.ErrValue},
		{"integer of 9 bytes", instance, "c80909000000000000000001", lwm2m.ErrValue},
		{"integer of no bytes", instance, "c009", lwm2m.ErrValue},
		{"boolean 2", instance, "c10e02", lwm2m.ErrValue},
		{"float of 2 bytes", instance, "c20f0000", lwm2m.ErrValue},
		{"link of 2 bytes", instance, "c2160000", lwm2m.ErrValue},
		{"string that is not UTF-8", instance, "c100ff", lwm2m.ErrValue},
		{"resource twice", instance, "c10964c10964", lwm2m.ErrDuplicate},
		{"single and multiple", instance, "c1060183" + "06410005", lwm2m.ErrDuplicate},
	} {
		body, err := hex.DecodeString(c.in)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tlv.Decode(c.base, body, fake{}); !errors.Is(err, c.err) {
			t.Errorf("%s: Decode(%s, %.40s) = %v, %v, want %v", c.name, c.base, c.in, got, err, c.err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		base    lwm2m.Path
		entries []lwm2m.Entry
		err     error
	}{
		{"root", lwm2m.Path{}, nil, lwm2m.ErrPath},
		{"no leaf", device, []lwm2m.Entry{leaf(lwm2m.Integer(1), 3, 0)}, lwm2m.ErrPath},
		{"elsewhere", device, []lwm2m.Entry{leaf(lwm2m.Integer(1), 4, 0, 1)}, lwm2m.ErrPath},
		{"no value", device, []lwm2m.Entry{leaf(lwm2m.Value{}, 3, 0, 1)}, lwm2m.ErrValue},
		{"no value in a multiple", device, []lwm2m.Entry{leaf(lwm2m.Value{}, 3, 0, 1, 1)}, lwm2m.ErrValue},
		{
			"twice", device,
			[]lwm2m.Entry{leaf(lwm2m.Integer(1), 3, 0, 1), leaf(lwm2m.Integer(1), 3, 0, 1)},
			lwm2m.ErrDuplicate,
		},
		{"too long", device, []lwm2m.Entry{leaf(lwm2m.Opaque(make([]byte, 1<<24)), 3, 0, 1)}, tlv.ErrLimit},
	} {
		if got, err := tlv.Encode(c.base, c.entries); !errors.Is(err, c.err) {
			t.Errorf("%s: Encode(%s) = %x, %v, want %v", c.name, c.base, got, err, c.err)
		}
	}
}

func TestEncodeSorts(t *testing.T) {
	in := []lwm2m.Entry{
		leaf(lwm2m.Integer(5), 3, 0, 6, 1), leaf(lwm2m.Integer(100), 3, 0, 9), leaf(lwm2m.Integer(1), 3, 0, 6, 0),
	}
	got, err := tlv.Encode(instance, in)
	if err != nil || hex.EncodeToString(got) != "8606410001410105c10964" {
		t.Errorf("Encode() = %x, %v", got, err)
	}
}

// TestDecodeAllocates counts: one slice for all values, nothing for numbers.
func TestDecodeAllocates(t *testing.T) {
	body, _ := hex.DecodeString("8606410001410105c10964c40d5182428f")
	n := testing.AllocsPerRun(100, func() {
		if _, err := tlv.Decode(instance, body, fake{}); err != nil {
			t.Fatal(err)
		}
	})
	if n > 1 {
		t.Errorf("Decode allocates %v times, want 1", n)
	}
}
