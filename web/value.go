package web

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"steward/lwm2m"
)

// ParseInput reads what a person typed as a value of kind: as plain text
// (lwm2m.ParseValue), and besides true and false, times in RFC 3339, and opaque
// values in hexadecimal after "0x". It returns ErrInvalid about the field value.
func ParseInput(kind lwm2m.Kind, text string) (lwm2m.Value, error) {
	trimmed := strings.TrimSpace(text)
	switch kind {
	case lwm2m.KindString, lwm2m.KindNone:
		trimmed = text // spaces may be meant
	case lwm2m.KindBoolean:
		switch strings.ToLower(trimmed) {
		case "true":
			return lwm2m.Boolean(true), nil
		case "false":
			return lwm2m.Boolean(false), nil
		}
	case lwm2m.KindTime:
		if t, err := time.Parse(time.RFC3339, trimmed); err == nil {
			return lwm2m.Time(t.Unix()), nil
		}
	case lwm2m.KindOpaque:
		if digits, ok := strings.CutPrefix(trimmed, "0x"); ok {
			b, err := hex.DecodeString(digits)
			if err != nil {
				return lwm2m.Value{}, Invalid("value", "an even number of hexadecimal digits after 0x")
			}
			return lwm2m.Opaque(b), nil
		}
	default:
	}
	v, err := lwm2m.ParseValue(kind, trimmed)
	if err != nil {
		return lwm2m.Value{}, Invalid("value", "expected "+kindHint(kind))
	}
	return v, nil
}

// kindHint says what a value of kind looks like.
func kindHint(kind lwm2m.Kind) string {
	switch kind {
	case lwm2m.KindInteger:
		return "a whole number"
	case lwm2m.KindUnsigned:
		return "a whole number, not negative"
	case lwm2m.KindFloat:
		return "a number"
	case lwm2m.KindBoolean:
		return "true or false"
	case lwm2m.KindTime:
		return "a time such as 2026-03-01T12:00:00Z, or Unix seconds"
	case lwm2m.KindOpaque:
		return "base64, or hexadecimal after 0x"
	case lwm2m.KindObjlnk:
		return "object:instance, such as 3:0"
	default:
		return kind.String()
	}
}

// EncodeValue returns v as it stands in JSON: numbers and booleans as such,
// opaque values as base64, times in RFC 3339 (in seconds beyond the year 9999),
// links as "3:0", and null for the zero Value.
func EncodeValue(v lwm2m.Value) any {
	switch v.Kind() {
	case lwm2m.KindNone:
		return nil
	case lwm2m.KindInteger:
		i, _ := v.Int()
		return i
	case lwm2m.KindUnsigned:
		u, _ := v.Uint()
		return u
	case lwm2m.KindFloat:
		return jsonFloat(v)
	case lwm2m.KindBoolean:
		b, _ := v.Bool()
		return b
	case lwm2m.KindOpaque:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	case lwm2m.KindTime:
		return jsonTime(v)
	default:
		return v.String()
	}
}

// jsonTime keeps what RFC 3339 cannot say (years of five digits) as seconds.
func jsonTime(v lwm2m.Value) any {
	const lastSecond = 253402300799  // 9999-12-31T23:59:59Z
	const firstSecond = -62167219200 // 0000-01-01T00:00:00Z
	seconds, _ := v.Int()
	if seconds < firstSecond || seconds > lastSecond {
		return seconds
	}
	return v.String()
}

// jsonFloat keeps what JSON cannot say (infinity, not a number) as text.
func jsonFloat(v lwm2m.Value) any {
	f, _ := v.Float64()
	if _, err := json.Marshal(f); err != nil {
		return v.Plain()
	}
	return f
}

// DecodeValue reads what EncodeValue wrote as a value of kind. For KindNone it
// takes the kind from JSON: number, boolean or string. It returns ErrInvalid
// about the field value.
func DecodeValue(kind lwm2m.Kind, raw json.RawMessage) (lwm2m.Value, error) {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return lwm2m.Value{}, Invalid("value", "missing")
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // 64 bits do not fit a float64
	if err := d.Decode(&v); err != nil {
		return lwm2m.Value{}, Invalid("value", "not JSON")
	}
	switch v := v.(type) {
	case bool:
		if kind == lwm2m.KindNone || kind == lwm2m.KindBoolean {
			return lwm2m.Boolean(v), nil
		}
	case json.Number:
		return decodeNumber(kind, v.String())
	case string:
		if !isNumeric(kind) || kind == lwm2m.KindTime {
			return ParseInput(kind, v)
		}
	}
	return lwm2m.Value{}, Invalid("value", "expected "+kindHint(kind))
}

func decodeNumber(kind lwm2m.Kind, text string) (lwm2m.Value, error) {
	if kind == lwm2m.KindNone {
		kind = lwm2m.KindFloat
		if !strings.ContainsAny(text, ".eE") {
			kind = lwm2m.KindInteger
		}
	}
	if !isNumeric(kind) {
		return lwm2m.Value{}, Invalid("value", "expected "+kindHint(kind))
	}
	return ParseInput(kind, text)
}

func isNumeric(kind lwm2m.Kind) bool {
	switch kind {
	case lwm2m.KindInteger, lwm2m.KindUnsigned, lwm2m.KindFloat, lwm2m.KindTime:
		return true
	default:
		return false
	}
}
