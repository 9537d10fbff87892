package leshan

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"steward/lwm2m"
	"steward/web"
)

// types are the names of ResourceModel.Type.
var types = map[lwm2m.Kind]string{
	lwm2m.KindNone: "NONE", lwm2m.KindString: "STRING", lwm2m.KindInteger: "INTEGER",
	lwm2m.KindUnsigned: "UNSIGNED_INTEGER", lwm2m.KindFloat: "FLOAT", lwm2m.KindBoolean: "BOOLEAN",
	lwm2m.KindOpaque: "OPAQUE", lwm2m.KindTime: "TIME", lwm2m.KindObjlnk: "OBJLNK", lwm2m.KindCorelnk: "CORELINK",
}

// kindOf returns the kind that Leshan calls name.
func kindOf(name string) (lwm2m.Kind, bool) {
	for kind, known := range types {
		if strings.EqualFold(known, name) && kind != lwm2m.KindNone {
			return kind, true
		}
	}
	return lwm2m.KindNone, false
}

// An objectLink is an Object Link as Jackson writes Leshan's ObjectLink.
type objectLink struct {
	Object   *uint16 `json:"objectId"`
	Instance *uint16 `json:"objectInstanceId"`
	Null     bool    `json:"nullLink"`
}

// encode returns a value as JacksonLwM2mNodeSerializer writes it: numbers as text,
// times in milliseconds, opaque values in hexadecimal.
func encode(v lwm2m.Value) any {
	switch v.Kind() {
	case lwm2m.KindNone:
		return nil
	case lwm2m.KindBoolean:
		b, _ := v.Bool()
		return b
	case lwm2m.KindTime:
		seconds, _ := v.Int()
		return clampMillis(seconds)
	case lwm2m.KindOpaque:
		return hex.EncodeToString(v.Bytes())
	case lwm2m.KindFloat:
		f, _ := v.Float64()
		return javaDouble(f)
	case lwm2m.KindObjlnk:
		object, instance, _ := v.Link()
		return objectLink{&object, &instance, object == lwm2m.NoID && instance == lwm2m.NoID}
	default:
		return v.Plain()
	}
}

const thousand = 1000 // milliseconds of a second

// clampMillis returns seconds as milliseconds, the last that there are for more.
func clampMillis(seconds int64) int64 {
	return max(math.MinInt64/thousand, min(math.MaxInt64/thousand, seconds)) * thousand
}

// javaDouble writes f as Java's Double.toString does.
func javaDouble(f float64) string {
	const small, large = 1e-3, 1e7
	size := math.Abs(f)
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return strings.TrimPrefix(strconv.FormatFloat(f, 'f', -1, 64), "+") + "inity"
	case size != 0 && (size < small || size >= large):
		digits, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
		n, _ := strconv.Atoi(exponent) // strconv wrote it
		return whole(digits) + "E" + strconv.Itoa(n)
	default:
		return whole(strconv.FormatFloat(f, 'f', -1, 64))
	}
}

// whole gives digits without a fraction one.
func whole(digits string) string {
	if strings.Contains(digits, ".") {
		return digits
	}
	return digits + ".0"
}

// decode reads a value as JacksonLwM2mNodeDeserializer does. It returns
// web.ErrInvalid.
func decode(kind lwm2m.Kind, raw json.RawMessage) (lwm2m.Value, error) {
	switch kind {
	case lwm2m.KindObjlnk:
		var link objectLink
		if err := json.Unmarshal(raw, &link); err != nil || link.Object == nil || link.Instance == nil {
			return lwm2m.Value{}, web.Invalid("value", "expected objectId and objectInstanceId")
		}
		return lwm2m.Objlnk(*link.Object, *link.Instance), nil
	case lwm2m.KindTime:
		var millis int64
		if err := json.Unmarshal(raw, &millis); err != nil || string(raw) == "null" {
			return lwm2m.Value{}, web.Invalid("value", "expected milliseconds since 1970")
		}
		return lwm2m.Time(floorSeconds(millis)), nil
	case lwm2m.KindInteger, lwm2m.KindUnsigned, lwm2m.KindFloat, lwm2m.KindOpaque:
		return decodeText(kind, raw)
	default:
		return web.DecodeValue(kind, raw)
	}
}

func floorSeconds(millis int64) int64 {
	seconds := millis / thousand
	if millis%thousand < 0 {
		seconds--
	}
	return seconds
}

// decodeText reads what Leshan writes as text; numbers may be numbers.
func decodeText(kind lwm2m.Kind, raw json.RawMessage) (lwm2m.Value, error) {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil || string(raw) == "null" {
		if kind == lwm2m.KindOpaque {
			return lwm2m.Value{}, web.Invalid("value", "expected hexadecimal digits")
		}
		return web.DecodeValue(kind, raw)
	}
	if kind == lwm2m.KindOpaque {
		text = "0x" + text
	}
	return web.ParseInput(kind, text)
}
