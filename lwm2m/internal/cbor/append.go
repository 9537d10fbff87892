package cbor

import (
	"encoding/binary"
	"fmt"
	"math"

	"steward/lwm2m"
)

// AppendHead appends the beginning of an item in the shortest form.
func AppendHead(b []byte, m Major, arg uint64) []byte {
	first := byte(m) << 5
	switch {
	case arg < 24:
		return append(b, first|byte(arg))
	case arg <= math.MaxUint8:
		return append(b, first|24, byte(arg))
	case arg <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, first|infoHalf), uint16(arg))
	case arg <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, first|infoSingle), uint32(arg))
	default:
		return binary.BigEndian.AppendUint64(append(b, first|infoDouble), arg)
	}
}

// AppendInt appends a signed integer.
func AppendInt(b []byte, i int64) []byte {
	if i < 0 {
		return AppendHead(b, MajorNegative, uint64(-1-i))
	}
	return AppendHead(b, MajorUint, uint64(i))
}

// AppendText appends a text string.
func AppendText(b []byte, s string) []byte {
	return append(AppendHead(b, MajorText, uint64(len(s))), s...)
}

// AppendFloat appends f in the shortest of the three float formats that holds
// it exactly (RFC 8949 §4.2.2).
func AppendFloat(b []byte, f float64) []byte {
	if half, ok := float64ToHalf(f); ok {
		return binary.BigEndian.AppendUint16(append(b, byte(MajorSimple)<<5|infoHalf), half)
	}
	if s := float32(f); float64(s) == f {
		return binary.BigEndian.AppendUint32(append(b, byte(MajorSimple)<<5|infoSingle), math.Float32bits(s))
	}
	return binary.BigEndian.AppendUint64(append(b, byte(MajorSimple)<<5|infoDouble), math.Float64bits(f))
}

// AppendNull appends null.
func AppendNull(b []byte) []byte { return append(b, byte(MajorSimple)<<5|simpleNull) }

// AppendValue appends a leaf value; an Objlnk becomes text (§7.5.4). It returns
// lwm2m.ErrValue for the zero Value.
func AppendValue(b []byte, v lwm2m.Value) ([]byte, error) {
	switch v.Kind() {
	case lwm2m.KindInteger, lwm2m.KindTime:
		i, _ := v.Int()
		return AppendInt(b, i), nil
	case lwm2m.KindUnsigned:
		u, _ := v.Uint()
		return AppendHead(b, MajorUint, u), nil
	case lwm2m.KindFloat:
		f, _ := v.Float64()
		return AppendFloat(b, f), nil
	case lwm2m.KindBoolean:
		info := byte(simpleFalse)
		if t, _ := v.Bool(); t {
			info = simpleTrue
		}
		return append(b, byte(MajorSimple)<<5|info), nil
	case lwm2m.KindString, lwm2m.KindCorelnk, lwm2m.KindObjlnk:
		return AppendText(b, v.Plain()), nil
	case lwm2m.KindOpaque:
		raw := v.Bytes()
		return append(AppendHead(b, MajorBytes, uint64(len(raw))), raw...), nil
	default:
		return nil, fmt.Errorf("%w: none to encode", lwm2m.ErrValue)
	}
}

// float64ToHalf narrows f to IEEE 754 binary16 if nothing is lost.
func float64ToHalf(f float64) (uint16, bool) {
	var sign uint16
	if math.Signbit(f) {
		sign = 0x8000
	}
	a := math.Abs(f)
	switch {
	case math.IsNaN(f):
		return 0x7e00, true
	case math.IsInf(f, 0):
		return sign | 0x7c00, true
	case a == 0:
		return sign, true
	case a > 65504 || a < 0x1p-24:
		return 0, false
	}
	fraction, exponent := math.Frexp(a) // a = fraction·2^exponent, 0.5 <= fraction < 1
	biased := exponent + 14
	if biased < 1 { // subnormal: a multiple of 2^-24
		m := a * 0x1p24
		return sign | uint16(m), m == math.Trunc(m)
	}
	m := fraction * 2048
	return sign | uint16(biased)<<10 | uint16(m)&0x3ff, m == math.Trunc(m) //nolint:gosec // G115: 1..30
}
