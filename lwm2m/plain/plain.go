// Package plain reads and writes the formats that hold one value and nothing
// else: text (0), opaque (42) and CBOR (60) (§7.5.1-7.5.3).
package plain

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"steward/lwm2m"
	"steward/lwm2m/internal/cbor"
)

// maxNumber is the length in bytes of the longest text that is read as a number
// or link: a float64 has up to 309 digits before the point.
const maxNumber = 400

// ErrSyntax reports a body that is not UTF-8 text or not exactly one CBOR item.
var ErrSyntax = errors.New("malformed value")

// DecodeText reads plain text as a value of kind, KindNone giving a String.
// It returns ErrSyntax or lwm2m.ErrValue.
func DecodeText(kind lwm2m.Kind, body []byte) (lwm2m.Value, error) {
	if !utf8.Valid(body) {
		return lwm2m.Value{}, fmt.Errorf("%w: not UTF-8", ErrSyntax)
	}
	switch kind {
	case lwm2m.KindNone, lwm2m.KindString, lwm2m.KindCorelnk, lwm2m.KindOpaque:
	default:
		if len(body) > maxNumber {
			return lwm2m.Value{}, fmt.Errorf("%w: %d bytes as %s", lwm2m.ErrValue, len(body), kind)
		}
	}
	return lwm2m.ParseValue(kind, string(body))
}

// EncodeText writes v as plain text. It returns lwm2m.ErrValue for the zero
// Value, NaN and infinity.
func EncodeText(v lwm2m.Value) ([]byte, error) {
	f, isNumber := v.Float64()
	if v.Kind() == lwm2m.KindNone || isNumber && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return nil, fmt.Errorf("%w: %s as text", lwm2m.ErrValue, v.Kind())
	}
	return []byte(v.Plain()), nil
}

// DecodeOpaque takes the body as it is. It returns lwm2m.ErrValue if kind is
// neither Opaque nor unknown.
func DecodeOpaque(kind lwm2m.Kind, body []byte) (lwm2m.Value, error) {
	return lwm2m.Opaque(body).Convert(kind)
}

// EncodeOpaque returns the bytes of v. It returns lwm2m.ErrValue if v is not
// Opaque.
func EncodeOpaque(v lwm2m.Value) ([]byte, error) {
	if v.Kind() != lwm2m.KindOpaque {
		return nil, fmt.Errorf("%w: %s as opaque", lwm2m.ErrValue, v.Kind())
	}
	return v.Bytes(), nil
}

// DecodeCBOR reads one CBOR item as a value of kind; times may have tag 0 or 1.
// It returns ErrSyntax or lwm2m.ErrValue.
func DecodeCBOR(kind lwm2m.Kind, body []byte) (lwm2m.Value, error) {
	in := cbor.NewReader(body)
	v, err := in.Value()
	if err != nil {
		return lwm2m.Value{}, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if in.Left() != 0 {
		return lwm2m.Value{}, fmt.Errorf("%w: %d bytes too many", ErrSyntax, in.Left())
	}
	return v.Convert(kind)
}

// EncodeCBOR writes v as one CBOR item, times with tag 1: Leshan refuses others.
// It returns lwm2m.ErrValue for the zero Value.
func EncodeCBOR(v lwm2m.Value) ([]byte, error) {
	var b []byte
	if v.Kind() == lwm2m.KindTime {
		b = cbor.AppendHead(b, cbor.MajorTag, 1)
	}
	return cbor.AppendValue(b, v)
}
