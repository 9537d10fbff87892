package cbor

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"steward/lwm2m"
)

// Tags that may stand before a value.
const (
	tagDateTime = 0 // RFC 8949 §3.4.1
	tagEpoch    = 1 // RFC 8949 §3.4.2
	tagDecimal  = 4 // RFC 8949 §3.4.4, which RFC 8428 §6 allows for numbers
)

// Value reads the next item as a leaf value: numbers, booleans and strings as
// they are, times with tag 0 or 1 as Time. It returns lwm2m.ErrValue for a
// number that no kind holds and ErrSyntax for arrays, maps, null and the rest.
func (r *Reader) Value() (lwm2m.Value, error) {
	h, err := r.Head()
	if err != nil {
		return lwm2m.Value{}, err
	}
	return r.ValueOf(h)
}

// ValueOf is Value for an item whose head h has been read.
func (r *Reader) ValueOf(h Head) (lwm2m.Value, error) {
	switch h.Major {
	case MajorUint:
		if h.Arg > math.MaxInt64 {
			return lwm2m.Unsigned(h.Arg), nil
		}
		return lwm2m.Integer(int64(h.Arg)), nil
	case MajorNegative:
		if h.Arg > math.MaxInt64 {
			return lwm2m.Value{}, fmt.Errorf("%w: below the 64-bit range", lwm2m.ErrValue)
		}
		return lwm2m.Integer(-1 - int64(h.Arg)), nil
	case MajorBytes:
		b, err := r.Content(h)
		return lwm2m.Opaque(b), err
	case MajorText:
		b, err := r.Content(h)
		return lwm2m.String(string(b)), err
	case MajorTag:
		return r.tagged(h.Arg)
	case MajorSimple:
		return h.simple()
	default:
		return lwm2m.Value{}, ErrSyntax
	}
}

func (h Head) simple() (lwm2m.Value, error) {
	switch h.info {
	case simpleFalse, simpleTrue:
		return lwm2m.Boolean(h.info == simpleTrue), nil
	case infoHalf:
		return lwm2m.Float(halfToFloat64(uint16(h.Arg))), nil //nolint:gosec // G115: two bytes were read
	case infoSingle:
		return lwm2m.Float(float64(math.Float32frombits(uint32(h.Arg)))), nil //nolint:gosec // G115: four bytes were read
	case infoDouble:
		return lwm2m.Float(math.Float64frombits(h.Arg)), nil
	}
	return lwm2m.Value{}, ErrSyntax
}

func (r *Reader) tagged(tag uint64) (lwm2m.Value, error) {
	if tag == tagDecimal {
		return r.decimal()
	}
	h, err := r.Head()
	if err != nil {
		return lwm2m.Value{}, err
	}
	if h.Major == MajorTag { // which would recurse
		return lwm2m.Value{}, ErrSyntax
	}
	v, err := r.ValueOf(h)
	if err != nil {
		return lwm2m.Value{}, err
	}
	switch {
	case tag == tagEpoch && h.Major != MajorText:
		return v.Convert(lwm2m.KindTime)
	case tag == tagDateTime && h.Major == MajorText:
		t, err := time.Parse(time.RFC3339, v.Text())
		if err != nil {
			return lwm2m.Value{}, fmt.Errorf("%w: date %q", lwm2m.ErrValue, v.Text())
		}
		return lwm2m.Time(t.Unix()), nil
	}
	return lwm2m.Value{}, ErrSyntax
}

// decimal reads [exponent, mantissa] as mantissa·10^exponent.
func (r *Reader) decimal() (lwm2m.Value, error) {
	h, err := r.Head()
	if err != nil {
		return lwm2m.Value{}, err
	}
	if h.Major != MajorArray || h.Indefinite || h.Arg != 2 {
		return lwm2m.Value{}, ErrSyntax
	}
	var parts [2]int64
	for i := range parts {
		h, err := r.Head()
		if err != nil {
			return lwm2m.Value{}, err
		}
		if h.Major > MajorNegative {
			return lwm2m.Value{}, ErrSyntax
		}
		v, err := r.ValueOf(h)
		if err != nil {
			return lwm2m.Value{}, err
		}
		n, ok := v.Int()
		if !ok {
			return lwm2m.Value{}, fmt.Errorf("%w: decimal fraction", lwm2m.ErrValue)
		}
		parts[i] = n
	}
	text := strconv.FormatInt(parts[1], 10) + "e" + strconv.FormatInt(parts[0], 10)
	f, err := strconv.ParseFloat(text, 64) // rounds correctly, unlike a multiplication
	if err != nil {
		return lwm2m.Value{}, fmt.Errorf("%w: decimal fraction %s", lwm2m.ErrValue, text)
	}
	return lwm2m.Float(f), nil
}
