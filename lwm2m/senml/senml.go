// Package senml reads and writes SenML (RFC 8428) in JSON and CBOR, its ETCH
// forms (RFC 8790) and the JSON format of LwM2M 1.0, from which it stems:
// Content-Formats 110, 112, 320, 322 and 11543 (§7.5.6).
package senml

import (
	"errors"
	"fmt"
	"math"
	"time"

	"steward/lwm2m"
)

const (
	maxVersion = 10      // RFC 8428 §4.4
	maxPrefix  = 64      // bytes of an alternate path or gateway prefix
	maxName    = 128     // bytes of a whole name: prefix, four identifiers, slashes
	maxDepth   = 16      // nesting of JSON values that are ignored
	maxTime    = 1 << 32 // up to here a float64 tells microseconds apart
	relative   = 1 << 28 // times below are relative to now (RFC 8428 §4.5.3)
)

var (
	// ErrSyntax reports a body that is not JSON or CBOR, or no list of records.
	ErrSyntax = errors.New("malformed SenML")
	// ErrLabel reports a field given twice, of the wrong type, or one that must be
	// understood and is not.
	ErrLabel = errors.New("unusable SenML field")
	// ErrRecord reports a record without a value or with several.
	ErrRecord = errors.New("SenML record without exactly one value")
	// ErrName reports a record whose name is not a path.
	ErrName = errors.New("SenML name is no path")
	// ErrVersion reports a version above 10.
	ErrVersion = errors.New("unsupported SenML version")
	// ErrTime reports a time out of range, or one that cannot be written.
	ErrTime = errors.New("unusable SenML time")
	// ErrLimit reports more than lwm2m.MaxEntries records.
	ErrLimit = errors.New("too many SenML records")
)

// Options tell a decoder what it needs beside the body.
type Options struct {
	Schema lwm2m.Schema // nil: values have the type that the format gives them
	Now    time.Time    // resolves relative times; if zero, these are dropped
	Etch   bool         // RFC 8790: "v" may be null, which gives the zero Value
}

// What a record may hold, as bits.
const (
	hasBaseName = 1 << iota
	hasBaseTime
	hasBaseValue
	hasBaseUnit
	hasBaseSum
	hasVersion
	hasName
	hasTime
	hasValue // any of v, vs, vb, vd, vlo
	hasSum
	hasUnit
	hasUpdate
)

// record is one SenML record as it stands in the body. Names may alias it.
type record struct {
	has                            uint16
	baseName, name                 []byte
	baseTime, time, baseValue, ver float64
	value                          lwm2m.Value // as the format types it
	isNull, isNumber               bool
}

// mark notes a field and reports whether it is the first of its kind.
func (r *record) mark(field uint16) bool {
	first := r.has&field == 0
	r.has |= field
	return first
}

// setName keeps a name or base name.
func (r *record) setName(base bool, text []byte) error {
	field, into := uint16(hasName), &r.name
	if base {
		field, into = hasBaseName, &r.baseName
	}
	if !r.mark(field) {
		return fmt.Errorf("%w: name again", ErrLabel)
	}
	*into = text
	return nil
}

// set keeps the value of a field that has been marked. kind is what the field
// demands, KindFloat meaning any number.
func (r *record) set(field uint16, kind lwm2m.Kind, v lwm2m.Value) error {
	f, isNumber := v.Float64()
	if kind != v.Kind() && (kind != lwm2m.KindFloat || !isNumber) {
		return fmt.Errorf("%w: %s for %s", ErrLabel, v.Kind(), kind)
	}
	switch field {
	case hasVersion:
		r.ver = f
	case hasBaseTime:
		r.baseTime = f
	case hasBaseValue:
		r.baseValue = f
	case hasTime:
		r.time = f
	case hasValue:
		r.value, r.isNumber = v, kind == lwm2m.KindFloat
	}
	if field != hasValue && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return fmt.Errorf("%w: %v", ErrLabel, f)
	}
	return nil
}
