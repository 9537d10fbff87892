package tlv

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"steward/lwm2m"
)

// value reads the bytes of a value of kind (Appendix C).
func value(kind lwm2m.Kind, b []byte) (lwm2m.Value, error) {
	switch kind {
	case lwm2m.KindString, lwm2m.KindCorelnk:
		if utf8.Valid(b) {
			return lwm2m.String(string(b)).Convert(kind)
		}
	case lwm2m.KindInteger, lwm2m.KindTime:
		if i, ok := signed(b); ok {
			return lwm2m.Integer(i).Convert(kind)
		}
	case lwm2m.KindUnsigned:
		if u, ok := unsigned(b); ok {
			return lwm2m.Unsigned(u), nil
		}
	case lwm2m.KindFloat:
		if f, ok := float(b); ok {
			return lwm2m.Float(f), nil
		}
	case lwm2m.KindBoolean:
		if len(b) == 1 && b[0] <= 1 {
			return lwm2m.Boolean(b[0] == 1), nil
		}
	case lwm2m.KindObjlnk:
		if len(b) == 4 {
			return lwm2m.Objlnk(binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])), nil
		}
	default:
		return lwm2m.Opaque(b), nil
	}
	return lwm2m.Value{}, fmt.Errorf("%w: %d bytes as %s", lwm2m.ErrValue, len(b), kind)
}

// float reads an IEEE 754 number of 4 or 8 bytes.
func float(b []byte) (float64, bool) {
	switch len(b) {
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b))), true
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), true
	}
	return 0, false
}

// signed reads a two's complement number of 1, 2, 4 or 8 bytes.
func signed(b []byte) (int64, bool) {
	u, ok := unsigned(b)
	if !ok {
		return 0, false
	}
	shift := 64 - 8*len(b)
	return int64(u<<shift) >> shift, true //nolint:gosec // G115: bits, not number
}

func unsigned(b []byte) (uint64, bool) {
	switch len(b) {
	case 1:
		return uint64(b[0]), true
	case 2:
		return uint64(binary.BigEndian.Uint16(b)), true
	case 4:
		return uint64(binary.BigEndian.Uint32(b)), true
	case 8:
		return binary.BigEndian.Uint64(b), true
	}
	return 0, false
}

// appendValue appends the bytes of v: numbers in the fewest bytes that hold
// them, floats in four if these lose nothing.
func appendValue(b []byte, v lwm2m.Value) ([]byte, error) {
	switch v.Kind() {
	case lwm2m.KindString, lwm2m.KindCorelnk:
		return append(b, v.Text()...), nil
	case lwm2m.KindOpaque:
		return append(b, v.Bytes()...), nil
	case lwm2m.KindInteger, lwm2m.KindTime:
		i, _ := v.Int()
		return appendSigned(b, i), nil
	case lwm2m.KindUnsigned:
		u, _ := v.Uint()
		return appendUnsigned(b, u), nil
	case lwm2m.KindFloat:
		f, _ := v.Float64()
		if s := float32(f); float64(s) == f {
			return binary.BigEndian.AppendUint32(b, math.Float32bits(s)), nil
		}
		return binary.BigEndian.AppendUint64(b, math.Float64bits(f)), nil
	case lwm2m.KindBoolean:
		i, _ := v.Int()
		return append(b, byte(i)), nil //nolint:gosec // G115: 0 or 1
	case lwm2m.KindObjlnk:
		o, i, _ := v.Link()
		return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, o), i), nil
	default:
		return nil, fmt.Errorf("%w: none to encode", lwm2m.ErrValue)
	}
}

func appendSigned(b []byte, i int64) []byte {
	u := uint64(i) //nolint:gosec // G115: bits, not number
	switch {
	case i == int64(int8(i)): //nolint:gosec // G115: the comparison is the check
		return append(b, byte(u)) //nolint:gosec // G115: the low byte
	case i == int64(int16(i)): //nolint:gosec // G115: the comparison is the check
		return binary.BigEndian.AppendUint16(b, uint16(u)) //nolint:gosec // G115: the low half
	case i == int64(int32(i)): //nolint:gosec // G115: the comparison is the check
		return binary.BigEndian.AppendUint32(b, uint32(u)) //nolint:gosec // G115: the low half
	default:
		return binary.BigEndian.AppendUint64(b, u)
	}
}

func appendUnsigned(b []byte, u uint64) []byte {
	switch {
	case u <= math.MaxUint8:
		return append(b, byte(u))
	case u <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(b, uint16(u))
	case u <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(b, uint32(u))
	default:
		return binary.BigEndian.AppendUint64(b, u)
	}
}
