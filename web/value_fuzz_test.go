package web_test

import (
	"encoding/json"
	"errors"
	"testing"

	"steward/lwm2m"
	"steward/web"
)

// FuzzDecodeValue checks that a value read from JSON is written and read again
// as the same value, and that what is refused is refused as invalid.
func FuzzDecodeValue(f *testing.F) {
	for kind, raw := range map[lwm2m.Kind]string{
		lwm2m.KindNone: `7.5`, lwm2m.KindString: `"a"`, lwm2m.KindInteger: `-1`, lwm2m.KindUnsigned: `18446744073709551615`,
		lwm2m.KindFloat: `1e300`, lwm2m.KindBoolean: `true`, lwm2m.KindOpaque: `"AQI="`,
		lwm2m.KindTime: `"2026-03-01T12:00:00Z"`, lwm2m.KindObjlnk: `"3:0"`, lwm2m.KindCorelnk: `"</3>"`,
	} {
		f.Add(uint8(kind), []byte(raw))
	}
	f.Fuzz(func(t *testing.T, kind uint8, raw []byte) {
		v, err := web.DecodeValue(lwm2m.Kind(kind), raw)
		if err != nil {
			if !errors.Is(err, web.ErrInvalid) {
				t.Errorf("DecodeValue(%d, %q) = %v, want ErrInvalid", kind, raw, err)
			}
			return
		}
		b, err := json.Marshal(web.EncodeValue(v))
		if err != nil {
			t.Fatal(err)
		}
		back, err := web.DecodeValue(v.Kind(), b)
		if err != nil || back != v {
			t.Errorf("%q gives %v, written %s, read again %v, %v", raw, v, b, back, err)
		}
	})
}
