package lwm2m

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Kind is the data type of a value (Appendix C).
type Kind uint8

// The kinds of Appendix C. KindNone is that of the zero Value: nothing known.
const (
	KindNone Kind = iota
	KindString
	KindInteger
	KindUnsigned
	KindFloat
	KindBoolean
	KindOpaque
	KindTime
	KindObjlnk
	KindCorelnk
)

var kindNames = [...]string{
	"none", "string", "integer", "unsigned", "float", "boolean", "opaque", "time", "objlnk", "corelnk",
}

// String returns the lower-case name, such as "string" or "integer".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// A Value is one typed leaf value. Values are immutable and comparable with ==.
// The zero Value is none: "no value", not zero.
type Value struct {
	kind Kind
	bits uint64 // Integer, Unsigned, Float (IEEE 754), Boolean, Time (Unix seconds), Objlnk (object<<16|instance)
	text string // String, Corelnk, Opaque
}

// ErrValue reports a value that its kind cannot hold.
var ErrValue = errors.New("value does not fit its type")

// String returns a String value.
func String(s string) Value { return Value{kind: KindString, text: s} }

// Integer returns a signed Integer value.
func Integer(i int64) Value { return Value{kind: KindInteger, bits: uint64(i)} } //nolint:gosec // G115: same bits

// Unsigned returns an Unsigned Integer value.
func Unsigned(u uint64) Value { return Value{kind: KindUnsigned, bits: u} }

// Float returns a Float value.
func Float(f float64) Value { return Value{kind: KindFloat, bits: math.Float64bits(f)} }

// Boolean returns a Boolean value.
func Boolean(b bool) Value {
	if b {
		return Value{kind: KindBoolean, bits: 1}
	}
	return Value{kind: KindBoolean}
}

// Opaque returns an Opaque value holding a copy of b.
func Opaque(b []byte) Value { return Value{kind: KindOpaque, text: string(b)} }

// Time returns a Time value: Unix time, whole seconds.
func Time(unix int64) Value { return Value{kind: KindTime, bits: uint64(unix)} } //nolint:gosec // G115: same bits

// Objlnk returns an Object Link to an object instance; NoID:NoID is the null link.
func Objlnk(object, instance uint16) Value {
	return Value{kind: KindObjlnk, bits: uint64(object)<<16 | uint64(instance)}
}

// Corelnk returns a CoRE Link value: link-format text.
func Corelnk(s string) Value { return Value{kind: KindCorelnk, text: s} }

// Kind returns the kind of v.
func (v Value) Kind() Kind { return v.kind }

// Text returns the text of a String or Corelnk, "" of other kinds.
func (v Value) Text() string {
	if v.kind == KindString || v.kind == KindCorelnk {
		return v.text
	}
	return ""
}

// Bytes returns a copy of an Opaque value, nil of other kinds.
func (v Value) Bytes() []byte {
	if v.kind == KindOpaque {
		return []byte(v.text)
	}
	return nil
}

// Int returns the number of an Integer, Unsigned that fits, Time or Boolean
// (0, 1), and whether v is one of these.
func (v Value) Int() (int64, bool) {
	switch v.kind {
	case KindInteger, KindTime, KindBoolean:
		return int64(v.bits), true //nolint:gosec // G115: bits, not number
	case KindUnsigned:
		return int64(v.bits), v.bits <= math.MaxInt64 //nolint:gosec // G115: checked beside
	default:
		return 0, false
	}
}

// Uint returns the number of an Unsigned or a non-negative Integer or Time, and
// whether v is one of these.
func (v Value) Uint() (uint64, bool) {
	switch v.kind {
	case KindUnsigned:
		return v.bits, true
	case KindInteger, KindTime:
		return v.bits, v.bits <= math.MaxInt64
	default:
		return 0, false
	}
}

// Float64 returns the number of a Float, Integer, Unsigned or Time, and whether
// v is one of these.
func (v Value) Float64() (float64, bool) {
	switch v.kind {
	case KindFloat:
		return math.Float64frombits(v.bits), true
	case KindUnsigned:
		return float64(v.bits), true
	case KindInteger, KindTime:
		return float64(int64(v.bits)), true //nolint:gosec // G115: bits, not number
	default:
		return 0, false
	}
}

// Bool returns the truth of a Boolean, and whether v is one.
func (v Value) Bool() (bool, bool) { return v.bits == 1, v.kind == KindBoolean }

// Link returns the two identifiers of an Objlnk, and whether v is one.
func (v Value) Link() (object, instance uint16, ok bool) {
	if v.kind != KindObjlnk {
		return 0, 0, false
	}
	return uint16(v.bits >> 16), uint16(v.bits & 0xffff), true //nolint:gosec // G115: two 16-bit halves
}

// String returns v for people: text as it is, opaque in hex, times in RFC 3339
// UTC, links as "3:0", and "" for the zero Value.
func (v Value) String() string {
	switch v.kind {
	case KindOpaque:
		return fmt.Sprintf("%x", v.text)
	case KindTime:
		return time.Unix(int64(v.bits), 0).UTC().Format(time.RFC3339) //nolint:gosec // G115: bits, not number
	case KindBoolean:
		return strconv.FormatBool(v.bits == 1)
	default:
		return v.Plain()
	}
}

// Plain returns v as LwM2M plain text (§7.5.1, Appendix C): decimal numbers,
// 0 and 1, padded base64, "3:0".
func (v Value) Plain() string {
	switch v.kind {
	case KindInteger, KindTime:
		return strconv.FormatInt(int64(v.bits), 10) //nolint:gosec // G115: bits, not number
	case KindUnsigned, KindBoolean:
		return strconv.FormatUint(v.bits, 10)
	case KindFloat:
		return strconv.FormatFloat(math.Float64frombits(v.bits), 'f', -1, 64)
	case KindOpaque:
		return base64.StdEncoding.EncodeToString([]byte(v.text))
	case KindObjlnk:
		return fmt.Sprintf("%d:%d", v.bits>>16, v.bits&0xffff)
	default:
		return v.text
	}
}

// ParseValue reads plain text (§7.5.1) as a value of kind. An unknown kind
// (KindNone) gives a String. It returns ErrValue if the text is not one.
func ParseValue(kind Kind, text string) (Value, error) {
	var v Value
	var err error
	switch kind {
	case KindInteger, KindTime:
		var i int64
		i, err = strconv.ParseInt(text, 10, 64)
		v = Value{kind: kind, bits: uint64(i)} //nolint:gosec // G115: bits, not number
	case KindUnsigned:
		v.kind = kind
		v.bits, err = strconv.ParseUint(text, 10, 64)
	case KindFloat:
		v, err = parseFloat(text)
	case KindBoolean:
		v = Boolean(text == "1")
		if text != "0" && text != "1" {
			err = ErrValue
		}
	case KindOpaque:
		var b []byte
		b, err = base64.StdEncoding.Strict().DecodeString(text)
		if strings.ContainsAny(text, "\r\n") { // which the decoder skips
			err = ErrValue
		}
		v = Opaque(b)
	case KindObjlnk:
		v, err = parseLink(text)
	case KindCorelnk:
		v = Corelnk(text)
	default:
		v = String(text)
	}
	if err != nil {
		return Value{}, fmt.Errorf("%w: %q as %s", ErrValue, text, kind)
	}
	return v, nil
}

// parseFloat accepts decimal numbers only: no hexadecimal, infinity or NaN.
func parseFloat(text string) (Value, error) {
	if strings.Trim(text, "+-.0123456789eE") != "" {
		return Value{}, ErrValue
	}
	f, err := strconv.ParseFloat(text, 64)
	return Float(f), err
}

// parseLink also accepts the null link as Table 7.5.6.-4 prints it, in
// hexadecimal, although Appendix C wants it decimal.
func parseLink(text string) (Value, error) {
	if strings.EqualFold(text, "FFFF:FFFF") {
		return Objlnk(NoID, NoID), nil
	}
	o, i, ok := strings.Cut(text, ":")
	object, err := strconv.ParseUint(o, 10, 16)
	instance, err2 := strconv.ParseUint(i, 10, 16)
	if !ok || err != nil || err2 != nil {
		return Value{}, ErrValue
	}
	return Objlnk(uint16(object), uint16(instance)), nil
}

// Convert returns v as kind, as a decoder must when a format knows fewer types
// than the schema: numbers in either direction if nothing is lost, Time and
// Integer, String and Corelnk and Objlnk text. Converting to KindNone or to its
// own kind returns v. It returns ErrValue if the value does not fit.
func (v Value) Convert(kind Kind) (Value, error) {
	if kind == v.kind || kind == KindNone {
		return v, nil
	}
	if v.kind == KindString && (kind == KindObjlnk || kind == KindCorelnk) {
		return ParseValue(kind, v.text)
	}
	if out, ok := v.number(kind); ok {
		return out, nil
	}
	return Value{}, fmt.Errorf("%w: %s as %s", ErrValue, v.kind, kind)
}

// number converts between the numeric kinds without loss.
func (v Value) number(kind Kind) (Value, bool) {
	f, isNumber := v.Float64()
	if !isNumber {
		return Value{}, false
	}
	switch kind {
	case KindFloat:
		return Float(f), true
	case KindInteger, KindTime:
		i, ok := v.Int()
		if v.kind == KindFloat {
			// 2^63 itself does not fit; every smaller float64 does.
			i, ok = int64(f), f == math.Trunc(f) && f >= math.MinInt64 && f < math.MaxInt64
		}
		return Value{kind: kind, bits: uint64(i)}, ok //nolint:gosec // G115: bits, not number
	case KindUnsigned:
		u, ok := v.Uint()
		if v.kind == KindFloat {
			u, ok = uint64(f), f == math.Trunc(f) && f >= 0 && f < math.MaxUint64
		}
		return Unsigned(u), ok
	default:
		return Value{}, false
	}
}
