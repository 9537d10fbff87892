package codec_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/codec"
)

var battery = lwm2m.NewPath(3, 0, 9)

func deviceKinds() lwm2m.Schema {
	return kinds{{3, 0}: {Kind: lwm2m.KindString}, {3, 9}: {Kind: lwm2m.KindInteger}, {6, 0}: {Kind: lwm2m.KindFloat}}
}

func TestChoose(t *testing.T) {
	instance, pkg := lwm2m.NewPath(3, 0), lwm2m.NewPath(5, 0, 0)
	for _, c := range []struct {
		name      string
		version   lwm2m.Version
		supported []uint16
		path      lwm2m.Path
		kind      lwm2m.Kind
		want      []uint16
	}{
		{"1.0", lwm2m.Version10, nil, instance, lwm2m.KindNone, []uint16{codec.TLV}},
		{"1.0, resource", lwm2m.Version10, nil, battery, lwm2m.KindInteger, []uint16{codec.TLV, codec.Text}},
		{"1.0 with JSON", lwm2m.Version10, []uint16{codec.JSON}, instance, lwm2m.KindNone, []uint16{codec.JSON, codec.TLV}},
		{"1.1", lwm2m.Version11, nil, instance, lwm2m.KindNone, []uint16{codec.SenMLCBOR, codec.SenMLJSON}},
		{
			"1.1, announced", lwm2m.Version11,
			[]uint16{codec.SenMLJSON, codec.TLV},
			instance, lwm2m.KindNone,
			[]uint16{codec.SenMLJSON, codec.TLV, codec.SenMLCBOR},
		},
		{
			"1.1, resource", lwm2m.Version11, nil, battery, lwm2m.KindInteger,
			[]uint16{codec.SenMLCBOR, codec.Text, codec.SenMLJSON, codec.CBOR},
		},
		{
			"1.1, resource, announced", lwm2m.Version11,
			[]uint16{codec.CBOR},
			battery, lwm2m.KindInteger,
			[]uint16{codec.CBOR, codec.SenMLCBOR, codec.Text, codec.SenMLJSON},
		},
		{
			"1.1, firmware", lwm2m.Version11, nil, pkg, lwm2m.KindOpaque,
			[]uint16{codec.Opaque, codec.SenMLCBOR, codec.SenMLJSON, codec.CBOR, codec.Text},
		},
		{
			"1.2", lwm2m.Version12, nil,
			lwm2m.Path{},
			lwm2m.KindNone,
			[]uint16{codec.LwM2MCBOR, codec.SenMLCBOR, codec.SenMLJSON},
		},
		{
			"1.2, useless announcements", lwm2m.Version12,
			[]uint16{codec.Text, codec.Link, 999},
			instance,
			lwm2m.KindNone,
			[]uint16{codec.LwM2MCBOR, codec.SenMLCBOR, codec.SenMLJSON},
		},
	} {
		if got := codec.Choose(c.version, c.supported, c.path, c.kind); !slices.Equal(got, c.want) {
			t.Errorf("%s: Choose() = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		format uint16
		base   lwm2m.Path
		body   []byte
		err    error
	}{
		{"unknown format", 999, battery, nil, codec.ErrFormat},
		{"links hold no values", codec.Link, battery, nil, codec.ErrFormat},
		{"body too long", codec.Opaque, battery, make([]byte, codec.MaxBody+1), codec.ErrBody},
		{"one value for an instance", codec.Text, battery.Parent(), []byte("1"), codec.ErrSyntax},
		{"one value for an instance", codec.CBOR, battery.Parent(), []byte{1}, lwm2m.ErrPath},
		{"syntax", codec.TLV, battery, []byte{0xc8}, codec.ErrSyntax},
		{"value", codec.Text, battery, []byte("x"), codec.ErrSyntax},
		{"value", codec.Text, battery, []byte("x"), lwm2m.ErrValue},
		{"another root", codec.SenMLJSON, battery, []byte(`[{"n":"/lwm2m/3/0/9","v":1}]`), lwm2m.ErrPrefix},
	} {
		if got, err := codec.Decode(c.format, c.base, c.body, deviceKinds()); !errors.Is(err, c.err) {
			t.Errorf("%s: Decode(%d) = %v, %v, want %v", c.name, c.format, got, err, c.err)
		}
	}
	if _, err := codec.DecodePaths(codec.TLV, nil); !errors.Is(err, codec.ErrFormat) {
		t.Errorf("DecodePaths(TLV) = %v, want ErrFormat", err)
	}
	if _, err := codec.DecodePaths(codec.ETCHCBOR, nil); !errors.Is(err, codec.ErrSyntax) {
		t.Errorf("DecodePaths() = %v, want ErrSyntax", err)
	}
	if _, err := codec.DecodePaths(codec.ETCHCBOR, make([]byte, codec.MaxBody+1)); !errors.Is(err, codec.ErrBody) {
		t.Errorf("DecodePaths() = %v, want ErrBody", err)
	}
	if _, err := codec.EncodePaths(codec.Text, nil); !errors.Is(err, codec.ErrFormat) {
		t.Errorf("EncodePaths(text) = %v, want ErrFormat", err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	one := lwm2m.Entry{Path: battery, Value: lwm2m.Integer(1)}
	for _, c := range []struct {
		name    string
		format  uint16
		base    lwm2m.Path
		entries []lwm2m.Entry
		err     error
	}{
		{"decode only", codec.JSON, battery, nil, codec.ErrFormat},
		{"two values as text", codec.Text, battery.Parent(), []lwm2m.Entry{one, one}, codec.ErrFormat},
		{"outside of base", codec.TLV, lwm2m.NewPath(4), []lwm2m.Entry{one}, lwm2m.ErrPath},
		{"no leaf", codec.TLV, lwm2m.NewPath(3), []lwm2m.Entry{{Path: lwm2m.NewPath(3, 0)}}, lwm2m.ErrPath},
		{"wrong type", codec.TLV, battery, []lwm2m.Entry{{Path: battery, Value: lwm2m.String("x")}}, lwm2m.ErrValue},
		{"deletion in SenML", codec.SenMLCBOR, battery, []lwm2m.Entry{{Path: battery}}, lwm2m.ErrValue},
		{"too many", codec.TLV, battery, make([]lwm2m.Entry, lwm2m.MaxEntries+1), codec.ErrBody},
	} {
		if got, err := codec.Encode(c.format, c.base, c.entries, deviceKinds()); !errors.Is(err, c.err) {
			t.Errorf("%s: Encode(%d) = %x, %v, want %v", c.name, c.format, got, err, c.err)
		}
	}
}

// TestEncodeConverts gives a Float resource an Integer: TLV must hold a float.
func TestEncodeConverts(t *testing.T) {
	p := lwm2m.NewPath(6, 0, 0)
	in := []lwm2m.Entry{{Path: p, Value: lwm2m.Integer(20)}}
	body, err := codec.Encode(codec.TLV, p, in, deviceKinds())
	if err != nil {
		t.Fatal(err)
	}
	got, err := codec.Decode(codec.TLV, p, body, deviceKinds())
	if err != nil || len(got) != 1 || got[0].Value != lwm2m.Float(20) {
		t.Errorf("Decode(%x) = %v, %v, want a Float", body, got, err)
	}
	if in[0].Value != lwm2m.Integer(20) {
		t.Errorf("Encode changed its argument to %v", in[0].Value)
	}
}

func TestOptions(t *testing.T) {
	in := []lwm2m.Entry{{Path: battery, Value: lwm2m.Integer(1)}}
	for _, prefix := range []string{"", "lwm2m"} {
		o := codec.Options{Prefix: prefix}
		for _, format := range []uint16{
			codec.Text, codec.CBOR, codec.SenMLJSON, codec.SenMLCBOR, codec.ETCHJSON, codec.ETCHCBOR, codec.TLV, codec.LwM2MCBOR,
		} {
			body, err := o.Encode(format, battery, in, deviceKinds())
			if err != nil {
				t.Fatalf("Encode(%d) = %v", format, err)
			}
			if got, err := o.Decode(format, battery, body, deviceKinds()); err != nil || !slices.Equal(got, in) {
				t.Errorf("Decode(%d, %q) = %v, %v, want %v", format, body, got, err, in)
			}
		}
		body, err := o.EncodePaths(codec.ETCHCBOR, []lwm2m.Path{battery})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := o.DecodePaths(codec.ETCHCBOR, body); err != nil || !slices.Equal(got, []lwm2m.Path{battery}) {
			t.Errorf("DecodePaths(%x) = %v, %v", body, got, err)
		}
	}
	now := time.Unix(1700000000, 0)
	got, err := codec.Options{Now: now}.Decode(codec.SenMLJSON, battery, []byte(`[{"n":"/3/0/9","v":1,"t":-5}]`), nil)
	if err != nil || !got[0].Time.Equal(now.Add(-5*time.Second)) {
		t.Errorf("Decode() = %v, %v, want five seconds ago", got, err)
	}
}
