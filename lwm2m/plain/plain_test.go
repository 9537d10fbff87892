package plain_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/plain"
)

func TestText(t *testing.T) {
	for _, c := range []struct {
		name string
		kind lwm2m.Kind
		in   string
		want lwm2m.Value
	}{
		{"Core 1.2.2 Appendix C", lwm2m.KindInteger, "-750", lwm2m.Integer(-750)},
		{"Core 1.2.2 Appendix C", lwm2m.KindFloat, "0.00000000006667", lwm2m.Float(6.667e-11)},
		{"Core 1.2.2 Appendix C", lwm2m.KindOpaque, "AQIDBAU=", lwm2m.Opaque([]byte{1, 2, 3, 4, 5})},
		{"unknown", lwm2m.KindNone, "ü", lwm2m.String("ü")},
		{"empty", lwm2m.KindString, "", lwm2m.String("")},
		{"largest float", lwm2m.KindFloat, lwm2m.Float(-math.MaxFloat64).Plain(), lwm2m.Float(-math.MaxFloat64)},
		{"smallest float", lwm2m.KindFloat, "1e-300", lwm2m.Float(1e-300)},
	} {
		got, err := plain.DecodeText(c.kind, []byte(c.in))
		if err != nil || got != c.want {
			t.Errorf("%s: DecodeText(%s, %q) = %v, %v, want %v", c.name, c.kind, c.in, got, err, c.want)
		}
		again, err := plain.EncodeText(got)
		if err != nil || (string(again) != c.in && !strings.Contains(c.in, "e")) {
			t.Errorf("%s: EncodeText(%v) = %q, %v, want %q", c.name, got, again, err, c.in)
		}
	}
}

func TestOpaque(t *testing.T) {
	for _, kind := range []lwm2m.Kind{lwm2m.KindNone, lwm2m.KindOpaque} {
		got, err := plain.DecodeOpaque(kind, []byte{0xff})
		if err != nil || got != lwm2m.Opaque([]byte{0xff}) {
			t.Errorf("DecodeOpaque(%s) = %v, %v", kind, got, err)
		}
		if again, err := plain.EncodeOpaque(got); err != nil || !bytes.Equal(again, []byte{0xff}) {
			t.Errorf("EncodeOpaque() = %x, %v", again, err)
		}
	}
}

// TestCBORTime writes the vector of a time with its tag, and reads it without.
func TestCBORTime(t *testing.T) {
	at := lwm2m.Time(1367491215)
	if got, err := plain.EncodeCBOR(at); err != nil || hex.EncodeToString(got) != "c11a5182428f" {
		t.Errorf("EncodeCBOR = %x, %v", got, err)
	}
	for _, in := range []string{"c11a5182428f", "1a5182428f"} {
		raw, _ := hex.DecodeString(in)
		if got, err := plain.DecodeCBOR(lwm2m.KindTime, raw); err != nil || got != at {
			t.Errorf("DecodeCBOR(%s) = %v, %v", in, got, err)
		}
	}
}

func TestRefuses(t *testing.T) {
	text := func(kind lwm2m.Kind, in string) func() error {
		return func() error { _, err := plain.DecodeText(kind, []byte(in)); return err }
	}
	item := func(kind lwm2m.Kind, in string) func() error {
		return func() error {
			b, _ := hex.DecodeString(in)
			_, err := plain.DecodeCBOR(kind, b)
			return err
		}
	}
	for _, c := range []struct {
		name string
		do   func() error
		err  error
	}{
		{"text that is not UTF-8", text(lwm2m.KindString, "\xff"), plain.ErrSyntax},
		{"text that is no number", text(lwm2m.KindInteger, "x"), lwm2m.ErrValue},
		{"overlong number", text(lwm2m.KindInteger, strings.Repeat("0", 500)), lwm2m.ErrValue},
		{"no item", item(lwm2m.KindInteger, ""), plain.ErrSyntax},
		{"two items", item(lwm2m.KindInteger, "0000"), plain.ErrSyntax},
		{"array", item(lwm2m.KindInteger, "80"), plain.ErrSyntax},
		{"text for Integer", item(lwm2m.KindInteger, "6131"), lwm2m.ErrValue},
		{
			"opaque body for Integer", func() error { _, err := plain.DecodeOpaque(lwm2m.KindInteger, nil); return err },
			lwm2m.ErrValue,
		},
		{"Integer as opaque", func() error { _, err := plain.EncodeOpaque(lwm2m.Integer(1)); return err }, lwm2m.ErrValue},
		{"no value as text", func() error { _, err := plain.EncodeText(lwm2m.Value{}); return err }, lwm2m.ErrValue},
		{"NaN as text", func() error { _, err := plain.EncodeText(lwm2m.Float(math.NaN())); return err }, lwm2m.ErrValue},
		{"no value as CBOR", func() error { _, err := plain.EncodeCBOR(lwm2m.Value{}); return err }, lwm2m.ErrValue},
	} {
		if err := c.do(); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
}
