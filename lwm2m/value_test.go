package lwm2m_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"steward/lwm2m"
)

func TestParseValue(t *testing.T) {
	for _, c := range []struct {
		kind lwm2m.Kind
		in   string
		want lwm2m.Value
		err  error
	}{
		{lwm2m.KindString, "Open Mobile Alliance", lwm2m.String("Open Mobile Alliance"), nil},
		{lwm2m.KindNone, "x", lwm2m.String("x"), nil},
		{lwm2m.KindInteger, "-750", lwm2m.Integer(-750), nil},
		{lwm2m.KindUnsigned, "18446744073709551615", lwm2m.Unsigned(math.MaxUint64), nil},
		{lwm2m.KindFloat, "0.00000000006667", lwm2m.Float(6.667e-11), nil},
		{lwm2m.KindFloat, "6.667e-11", lwm2m.Float(6.667e-11), nil},
		{lwm2m.KindBoolean, "1", lwm2m.Boolean(true), nil},
		{lwm2m.KindOpaque, "AQIDBAU=", lwm2m.Opaque([]byte{1, 2, 3, 4, 5}), nil},
		{lwm2m.KindTime, "1476186613", lwm2m.Time(1476186613), nil},
		{lwm2m.KindObjlnk, "66:1", lwm2m.Objlnk(66, 1), nil},
		{lwm2m.KindObjlnk, "FFFF:FFFF", lwm2m.Objlnk(lwm2m.NoID, lwm2m.NoID), nil},
		{lwm2m.KindCorelnk, "</3/0>", lwm2m.Corelnk("</3/0>"), nil},
		{lwm2m.KindInteger, "1.5", lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.KindInteger, "9223372036854775808", lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.KindUnsigned, "-1", lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.KindFloat, "inf", lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.KindFloat, "NaN", lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.KindFloat, "0x1p4", lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.KindFloat, "1e999", lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.KindBoolean, "true", lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.KindOpaque, "AQIDBAU", lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.KindOpaque, "AQID\nBAU=", lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.KindTime, "", lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.KindObjlnk, "66", lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.KindObjlnk, "65536:0", lwm2m.Value{}, lwm2m.ErrValue},
	} {
		got, err := lwm2m.ParseValue(c.kind, c.in)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("ParseValue(%s, %q) = %v, %v, want %v, %v", c.kind, c.in, got, err, c.want, c.err)
		}
	}
}

func TestValueString(t *testing.T) {
	for want, v := range map[string]lwm2m.Value{
		"":                     {},
		"x":                    lwm2m.String("x"),
		"-5":                   lwm2m.Integer(-5),
		"22.5":                 lwm2m.Float(22.5),
		"true":                 lwm2m.Boolean(true),
		"0102":                 lwm2m.Opaque([]byte{1, 2}),
		"2013-05-02T10:40:15Z": lwm2m.Time(1367491215),
		"3:0":                  lwm2m.Objlnk(3, 0),
	} {
		if got := v.String(); got != want {
			t.Errorf("%s.String() = %q, want %q", v.Kind(), got, want)
		}
	}
	if got := lwm2m.Float(6.667e-11).Plain(); got != "0.00000000006667" {
		t.Errorf("Plain() = %q, want no exponent", got)
	}
}

func TestValueAccessors(t *testing.T) {
	if o, i, ok := lwm2m.Objlnk(66, 1).Link(); o != 66 || i != 1 || !ok {
		t.Errorf("Link() = %d, %d, %v", o, i, ok)
	}
	if b := lwm2m.Opaque([]byte{7}).Bytes(); !bytes.Equal(b, []byte{7}) {
		t.Errorf("Bytes() = %x", b)
	}
	if i, ok := lwm2m.Unsigned(math.MaxUint64).Int(); ok {
		t.Errorf("Int() = %d of a number that does not fit", i)
	}
	none := lwm2m.String("x")
	_, isInt := none.Int()
	_, isUint := none.Uint()
	_, isFloat := none.Float64()
	_, isBool := none.Bool()
	_, _, isLink := none.Link()
	if isInt || isUint || isFloat || isBool || isLink || none.Bytes() != nil || lwm2m.Integer(1).Text() != "" {
		t.Error("a String answers as another kind")
	}
}

func TestConvert(t *testing.T) {
	for _, c := range []struct {
		in   lwm2m.Value
		kind lwm2m.Kind
		want lwm2m.Value
		err  error
	}{
		{lwm2m.Integer(20), lwm2m.KindFloat, lwm2m.Float(20), nil},
		{lwm2m.Integer(20), lwm2m.KindTime, lwm2m.Time(20), nil},
		{lwm2m.Integer(20), lwm2m.KindUnsigned, lwm2m.Unsigned(20), nil},
		{lwm2m.Integer(20), lwm2m.KindNone, lwm2m.Integer(20), nil},
		{lwm2m.Float(20), lwm2m.KindInteger, lwm2m.Integer(20), nil},
		{lwm2m.Float(20), lwm2m.KindUnsigned, lwm2m.Unsigned(20), nil},
		{lwm2m.String("3:0"), lwm2m.KindObjlnk, lwm2m.Objlnk(3, 0), nil},
		{lwm2m.String("</3>"), lwm2m.KindCorelnk, lwm2m.Corelnk("</3>"), nil},
		{lwm2m.Float(20.5), lwm2m.KindInteger, lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.Float(0x1p63), lwm2m.KindInteger, lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.Float(0x1p64), lwm2m.KindUnsigned, lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.Float(math.NaN()), lwm2m.KindInteger, lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.Integer(-1), lwm2m.KindUnsigned, lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.Unsigned(math.MaxUint64), lwm2m.KindInteger, lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.Integer(1), lwm2m.KindBoolean, lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.String("1"), lwm2m.KindInteger, lwm2m.Value{}, lwm2m.ErrValue},
		{lwm2m.Value{}, lwm2m.KindString, lwm2m.Value{}, lwm2m.ErrValue},
	} {
		got, err := c.in.Convert(c.kind)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s %v.Convert(%s) = %v, %v, want %v, %v", c.in.Kind(), c.in, c.kind, got, err, c.want, c.err)
		}
	}
}

func FuzzParseValue(f *testing.F) {
	for _, s := range []string{"Open Mobile Alliance", "-750", "18", "0.00000000006667", "1", "AQIDBAU=", "66:1"} {
		for k := lwm2m.KindNone; k <= lwm2m.KindCorelnk; k++ {
			f.Add(uint8(k), s)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		k := lwm2m.Kind(kind % 10)
		v, err := lwm2m.ParseValue(k, text)
		if err != nil {
			if !errors.Is(err, lwm2m.ErrValue) {
				t.Errorf("ParseValue(%s, %q) = %v, want ErrValue", k, text, err)
			}
			return
		}
		if len(v.Plain()) > len(text)+400 && !strings.ContainsAny(text, "eE") {
			t.Errorf("ParseValue(%s, %q).Plain() has %d bytes", k, text, len(v.Plain()))
		}
		if again, err := lwm2m.ParseValue(v.Kind(), v.Plain()); err != nil || again != v {
			t.Errorf("ParseValue(%s, %q) = %v, %v, want %v", v.Kind(), v.Plain(), again, err, v)
		}
	})
}
