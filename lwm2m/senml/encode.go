package senml

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"steward/lwm2m"
	"steward/lwm2m/internal/cbor"
)

// layout is what both encoders decide before they write: the base name that
// saves most, and whether times are written as differences.
type layout struct {
	pack     lwm2m.Pack
	etch     bool
	baseName string
	baseTime time.Time // zero: times, if any, are absolute
}

func newLayout(pack lwm2m.Pack, etch bool) (layout, error) {
	l := layout{pack: pack, etch: etch}
	if err := pack.Distinct(); err != nil {
		return l, err
	}
	timed := 0
	for i, e := range pack.Entries {
		if e.Path.Len() < 3 {
			return l, fmt.Errorf("%w: %s has no value of its own", lwm2m.ErrPath, e.Path)
		}
		name := fullName(pack.Prefix(i), e.Path)
		if i == 0 {
			l.baseName = name[:strings.LastIndexByte(name, '/')+1]
		}
		for !strings.HasPrefix(name, l.baseName) {
			l.baseName = l.baseName[:strings.LastIndexByte(l.baseName[:len(l.baseName)-1], '/')+1]
		}
		if !e.Time.IsZero() {
			timed++
		}
	}
	if timed == len(pack.Entries) && timed > 0 && pack.Entries[0].Time.Unix() > 0 {
		l.baseTime = pack.Entries[0].Time
	}
	if len(pack.Entries) < 2 || l.baseName == "/" {
		l.baseName = ""
	}
	return l, nil
}

// name returns what follows the base name for entry i.
func (l *layout) name(i int) string {
	return fullName(l.pack.Prefix(i), l.pack.Entries[i].Path)[len(l.baseName):]
}

// seconds returns the "t" of an entry, and whether it needs one.
func (l *layout) seconds(e lwm2m.Entry) (float64, bool, error) {
	if e.Time.IsZero() {
		return 0, false, nil
	}
	if e.Time.Unix() >= maxTime {
		return 0, false, fmt.Errorf("%w: %s", ErrTime, e.Time)
	}
	if !l.baseTime.IsZero() {
		d := float64(e.Time.UnixMicro()-l.baseTime.UnixMicro()) / 1e6
		if e.Time.Unix() <= 0 {
			return 0, false, fmt.Errorf("%w: %s", ErrTime, e.Time)
		}
		return d, d != 0, nil
	}
	if e.Time.Unix() < relative { // would be read as relative to now
		return 0, false, fmt.Errorf("%w: %s", ErrTime, e.Time)
	}
	return float64(e.Time.UnixMicro()) / 1e6, true, nil
}

// EncodeCBOR writes a pack of SenML CBOR; with etch, entries without a value
// become deletions (RFC 8790). It returns lwm2m.ErrPath, lwm2m.ErrValue,
// lwm2m.ErrDuplicate or ErrTime.
func EncodeCBOR(pack lwm2m.Pack, etch bool) ([]byte, error) {
	l, err := newLayout(pack, etch)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, 16+24*len(pack.Entries))
	b = cbor.AppendHead(b, cbor.MajorArray, uint64(len(pack.Entries)))
	for i, e := range pack.Entries {
		if b, err = l.appendCBOR(b, i); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	return b, nil
}

func (l *layout) appendCBOR(b []byte, i int) ([]byte, error) {
	e := l.pack.Entries[i]
	t, hasTime, err := l.seconds(e)
	if err != nil {
		return nil, err
	}
	first := i == 0
	fields := uint64(2) // name and value
	for _, more := range []bool{first && l.baseName != "", first && !l.baseTime.IsZero(), hasTime} {
		if more {
			fields++
		}
	}
	b = cbor.AppendHead(b, cbor.MajorMap, fields)
	if first && l.baseName != "" {
		b = cbor.AppendText(cbor.AppendInt(b, labelBaseName), l.baseName)
	}
	if first && !l.baseTime.IsZero() {
		b = appendSeconds(cbor.AppendInt(b, labelBaseTime), float64(l.baseTime.UnixMicro())/1e6)
	}
	b = cbor.AppendText(cbor.AppendInt(b, labelName), l.name(i))
	if hasTime {
		b = appendSeconds(cbor.AppendInt(b, labelTime), t)
	}
	switch e.Value.Kind() {
	case lwm2m.KindNone:
		if !l.etch {
			return nil, fmt.Errorf("%w: none to encode", lwm2m.ErrValue)
		}
		return cbor.AppendNull(cbor.AppendInt(b, labelValue)), nil
	case lwm2m.KindString, lwm2m.KindCorelnk:
		b = cbor.AppendInt(b, labelString)
	case lwm2m.KindBoolean:
		b = cbor.AppendInt(b, labelBoolean)
	case lwm2m.KindOpaque:
		b = cbor.AppendInt(b, labelData)
	case lwm2m.KindObjlnk:
		b = cbor.AppendText(b, labelLink)
	default:
		b = cbor.AppendInt(b, labelValue)
	}
	return cbor.AppendValue(b, e.Value)
}

func appendSeconds(b []byte, s float64) []byte {
	if s == math.Trunc(s) {
		return cbor.AppendInt(b, int64(s))
	}
	return cbor.AppendFloat(b, s)
}

// EncodeJSON is EncodeCBOR for SenML JSON. NaN and infinity are
// lwm2m.ErrValue there.
func EncodeJSON(pack lwm2m.Pack, etch bool) ([]byte, error) {
	l, err := newLayout(pack, etch)
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, 16+32*len(pack.Entries)), '[')
	for i, e := range pack.Entries {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = l.appendJSON(b, i); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	return append(b, ']'), nil
}

func (l *layout) appendJSON(b []byte, i int) ([]byte, error) {
	e := l.pack.Entries[i]
	t, hasTime, err := l.seconds(e)
	if err != nil {
		return nil, err
	}
	b = append(b, '{')
	if i == 0 && l.baseName != "" {
		b = append(appendString(append(b, `"bn":`...), l.baseName), ',')
	}
	if i == 0 && !l.baseTime.IsZero() {
		b = append(appendNumber(append(b, `"bt":`...), float64(l.baseTime.UnixMicro())/1e6), ',')
	}
	b = appendString(append(b, `"n":`...), l.name(i))
	if hasTime {
		b = appendNumber(append(b, `,"t":`...), t)
	}
	switch e.Value.Kind() {
	case lwm2m.KindNone:
		if !l.etch {
			return nil, fmt.Errorf("%w: none to encode", lwm2m.ErrValue)
		}
		return append(b, `,"v":null}`...), nil
	case lwm2m.KindString, lwm2m.KindCorelnk:
		b = appendString(append(b, `,"vs":`...), e.Value.Text())
	case lwm2m.KindBoolean:
		t, _ := e.Value.Bool()
		b = strconv.AppendBool(append(b, `,"vb":`...), t)
	case lwm2m.KindOpaque:
		b = append(b, `,"vd":"`...)
		b = append(base64.RawURLEncoding.AppendEncode(b, e.Value.Bytes()), '"')
	case lwm2m.KindObjlnk:
		b = appendString(append(b, `,"vlo":`...), e.Value.Plain())
	case lwm2m.KindFloat:
		f, _ := e.Value.Float64()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("%w: %v in JSON", lwm2m.ErrValue, f)
		}
		b = appendNumber(append(b, `,"v":`...), f)
	default:
		b = append(append(b, `,"v":`...), e.Value.Plain()...)
	}
	return append(b, '}'), nil
}

// appendNumber writes f in the fewest digits that give it back, without an
// exponent where people would not write one.
func appendNumber(b []byte, f float64) []byte {
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// appendString writes a JSON string; bytes that are not UTF-8 become U+FFFD.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
