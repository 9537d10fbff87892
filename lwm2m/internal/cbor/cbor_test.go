package cbor_test

import (
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	ref "github.com/fxamacker/cbor/v2"

	"steward/lwm2m"
	"steward/lwm2m/internal/cbor"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestValue(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     lwm2m.Value
		again    bool // AppendValue gives the same bytes
	}{
		{"RFC 8949 Appendix A", "00", lwm2m.Integer(0), true},
		{"RFC 8949 Appendix A", "1903e8", lwm2m.Integer(1000), true},
		{"RFC 8949 Appendix A", "1b000000e8d4a51000", lwm2m.Integer(1000000000000), true},
		{"RFC 8949 Appendix A", "1bffffffffffffffff", lwm2m.Unsigned(math.MaxUint64), true},
		{"RFC 8949 Appendix A", "3903e7", lwm2m.Integer(-1000), true},
		{"smallest int64", "3b7fffffffffffffff", lwm2m.Integer(math.MinInt64), true},
		{"not the shortest", "1900ff", lwm2m.Integer(255), false},
		{"RFC 8949 Appendix A", "f90000", lwm2m.Float(0), true},
		{"RFC 8949 Appendix A", "f98000", lwm2m.Float(math.Copysign(0, -1)), true},
		{"RFC 8949 Appendix A", "f93e00", lwm2m.Float(1.5), true},
		{"RFC 8949 Appendix A", "f97bff", lwm2m.Float(65504), true},
		{"RFC 8949 Appendix A", "f90001", lwm2m.Float(5.960464477539063e-8), true},
		{"RFC 8949 Appendix A", "f90400", lwm2m.Float(0.00006103515625), true},
		{"RFC 8949 Appendix A", "f9c400", lwm2m.Float(-4), true},
		{"RFC 8949 Appendix A", "f97c00", lwm2m.Float(math.Inf(1)), true},
		{"RFC 8949 Appendix A", "f9fc00", lwm2m.Float(math.Inf(-1)), true},
		{"RFC 8949 Appendix A", "fa47c35000", lwm2m.Float(100000), true},
		{"RFC 8949 Appendix A", "fb3ff199999999999a", lwm2m.Float(1.1), true},
		{"RFC 8949 Appendix A", "f5", lwm2m.Boolean(true), true},
		{"RFC 8949 Appendix A", "f4", lwm2m.Boolean(false), true},
		{"RFC 8949 Appendix A", "4401020304", lwm2m.Opaque([]byte{1, 2, 3, 4}), true},
		{"RFC 8949 Appendix A", "62c3bc", lwm2m.String("ü"), true},
		{"RFC 8949 Appendix A, chunks", "5f42010243030405ff", lwm2m.Opaque([]byte{1, 2, 3, 4, 5}), false},
		{"RFC 8949 Appendix A, chunks", "7f657374726561646d696e67ff", lwm2m.String("streaming"), false},
		{"RFC 8949 Appendix A, tag 1", "c11a514b67b0", lwm2m.Time(1363896240), false},
		{"RFC 8949 Appendix A, tag 0", "c074323031332d30332d32315432303a30343a30305a", lwm2m.Time(1363896240), false},
		{"RFC 8949 §3.4.4, tag 4", "c48221196ab3", lwm2m.Float(273.15), false},
	} {
		in := cbor.NewReader(unhex(t, c.in))
		got, err := in.Value()
		if err != nil || got != c.want || in.Left() != 0 {
			t.Errorf("%s: Value(%s) = %v, %v, want %v", c.name, c.in, got, err, c.want)
		}
		if again, err := cbor.AppendValue(nil, got); c.again && (err != nil || hex.EncodeToString(again) != c.in) {
			t.Errorf("%s: AppendValue(%v) = %x, %v, want %s", c.name, got, again, err, c.in)
		}
	}
	if got, err := cbor.AppendValue(nil, lwm2m.Objlnk(3, 0)); err != nil || hex.EncodeToString(got) != "63333a30" {
		t.Errorf("AppendValue(3:0) = %x, %v", got, err)
	}
	if _, err := cbor.AppendValue(nil, lwm2m.Value{}); !errors.Is(err, lwm2m.ErrValue) {
		t.Errorf("AppendValue() = %v, want ErrValue", err)
	}
}

func TestValueRefuses(t *testing.T) {
	for _, c := range []struct {
		name, in string
		err      error
	}{
		{"nothing", "", cbor.ErrTruncated},
		{"number cut", "19ff", cbor.ErrTruncated},
		{"string overruns input", "5affffffff00", cbor.ErrTruncated},
		{"length beyond 63 bits", "5bffffffffffffffff00", cbor.ErrTruncated},
		{"chunks without end", "5f4100", cbor.ErrTruncated},
		{"reserved information", "1c", cbor.ErrSyntax},
		{"indefinite number", "1f", cbor.ErrSyntax},
		{"break", "ff", cbor.ErrSyntax},
		{"null", "f6", cbor.ErrSyntax},
		{"simple value in two bytes", "f814", cbor.ErrSyntax},
		{"array", "8100", cbor.ErrSyntax},
		{"chunk of another type", "5f6100ff", cbor.ErrSyntax},
		{"chunks in chunks", "5f5f4100ffff", cbor.ErrSyntax},
		{"text that is not UTF-8", "61ff", cbor.ErrSyntax},
		{"tag of a tag", "c1c100", cbor.ErrSyntax},
		{"unknown tag", "d82000", cbor.ErrSyntax},
		{"tag 0 on a number", "c000", cbor.ErrSyntax},
		{"tag 1 on text", "c16130", cbor.ErrSyntax},
		{"tag 4 without array", "c400", cbor.ErrSyntax},
		{"tag 4 with text", "c482006130", cbor.ErrSyntax},
		{"tag 0 without a date", "c06130", lwm2m.ErrValue},
		{"tag 1 on a fraction", "c1f93e00", lwm2m.ErrValue},
		{"tag 4 too large", "c482190fff01", lwm2m.ErrValue},
		{"tag 4 beyond int64", "c482001bffffffffffffffff", lwm2m.ErrValue},
		{"below int64", "3bffffffffffffffff", lwm2m.ErrValue},
	} {
		if got, err := cbor.NewReader(unhex(t, c.in)).Value(); !errors.Is(err, c.err) {
			t.Errorf("%s: Value(%s) = %v, %v, want %v", c.name, c.in, got, err, c.err)
		}
	}
	deep := cbor.NewReader(unhex(t, strings.Repeat("81", cbor.MaxDepth)+"00"))
	if err := deep.Skip(); !errors.Is(err, cbor.ErrDepth) {
		t.Errorf("Skip() = %v, want ErrDepth", err)
	}
	if _, err := cbor.NewReader(nil).Peek(); !errors.Is(err, cbor.ErrTruncated) {
		t.Errorf("Peek() = %v, want ErrTruncated", err)
	}
}

// FuzzReader compares with another implementation what is well-formed, and that
// values survive.
func FuzzReader(f *testing.F) {
	seeds := []string{"83a321612f0065312f302f32021865", "bf83030006bf00010105ffff", "c11a5182428f", "5f4101ff", "f94da0"}
	for _, s := range seeds {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	mode, err := ref.DecOptions{MaxNestedLevels: 64, MaxArrayElements: 1 << 20, MaxMapPairs: 1 << 20}.DecMode()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in := cbor.NewReader(body)
		if err := in.Skip(); err == nil {
			if werr := mode.Wellformed(body[:in.Offset()]); werr != nil {
				t.Errorf("Skip(%x) = nil, but %v", body[:in.Offset()], werr)
			}
		} else if errors.Is(err, cbor.ErrTruncated) && mode.Wellformed(body) == nil {
			t.Errorf("Skip(%x) = %v, but it is well-formed", body, err)
		}
		v, err := cbor.NewReader(body).Value()
		if err != nil {
			return
		}
		again, err := cbor.AppendValue(nil, v)
		if err != nil {
			t.Fatalf("AppendValue(%v) = %v", v, err)
		}
		back, err := cbor.NewReader(again).Value()
		if f, ok := back.Float64(); ok && math.IsNaN(f) {
			return // its payload is not kept
		}
		want := v
		if v.Kind() == lwm2m.KindTime { // written without a tag
			want, _ = v.Convert(lwm2m.KindInteger)
		}
		if err != nil || back != want {
			t.Errorf("Value(%x) = %v, %v, want %v", again, back, err, want)
		}
	})
}
