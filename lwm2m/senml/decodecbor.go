package senml

import (
	"fmt"

	"steward/lwm2m"
	"steward/lwm2m/internal/cbor"
)

// Labels of SenML CBOR (RFC 8428 §6, Table 4; vlo has none and goes by name).
const (
	labelVersion   = -1
	labelBaseName  = -2
	labelBaseTime  = -3
	labelBaseUnit  = -4
	labelBaseValue = -5
	labelBaseSum   = -6
	labelName      = 0
	labelUnit      = 1
	labelValue     = 2
	labelString    = 3
	labelBoolean   = 4
	labelSum       = 5
	labelTime      = 6
	labelUpdate    = 7
	labelData      = 8
	labelLink      = "vlo"
)

// DecodeCBOR reads a pack of SenML CBOR. It returns ErrSyntax, ErrLabel,
// ErrRecord, ErrName, ErrVersion, ErrTime, ErrLimit, lwm2m.ErrValue or
// lwm2m.ErrDuplicate.
func DecodeCBOR(body []byte, o Options) (lwm2m.Pack, error) {
	s := resolver{options: o}
	err := eachCBOR(body, func(r *record, left int) error {
		if s.pack.Entries == nil {
			s.pack.Entries = make([]lwm2m.Entry, 0, min(left, lwm2m.MaxEntries))
		}
		return s.add(r)
	})
	if err != nil {
		return lwm2m.Pack{}, err
	}
	return s.finish()
}

// DecodePathsCBOR reads the names of a composite request below prefix (§6.3.8).
// It returns the errors of DecodeCBOR and lwm2m.ErrPrefix.
func DecodePathsCBOR(body []byte, prefix string) ([]lwm2m.Path, error) {
	s := pathReader{prefix: prefix}
	if err := eachCBOR(body, func(r *record, _ int) error { return s.add(r) }); err != nil {
		return nil, err
	}
	return s.paths, s.duplicate()
}

// eachCBOR calls add for each record of body with the number of records that
// may still come, this one included.
func eachCBOR(body []byte, add func(r *record, left int) error) error {
	in := cbor.NewReader(body)
	h, err := in.Head()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if h.Major != cbor.MajorArray {
		return fmt.Errorf("%w: no array", ErrSyntax)
	}
	var r record
	for n := uint64(0); in.Next(h, n); n++ {
		left := in.Count(h, minRecord) + 1
		if err := readCBOR(in, &r); err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		if err := add(&r, left); err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
	}
	if in.Left() != 0 {
		return fmt.Errorf("%w: %d bytes too many", ErrSyntax, in.Left())
	}
	return nil
}

// minRecord is the length in bytes of the shortest record that can follow in
// the same pack: A2 00 61 31 02 01, without its time.
const minRecord = 6

// readCBOR reads one record into r.
func readCBOR(in *cbor.Reader, r *record) error {
	*r = record{}
	h, err := in.Head()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if h.Major != cbor.MajorMap {
		return fmt.Errorf("%w: record is no map", ErrSyntax)
	}
	for n := uint64(0); in.Next(h, n); n++ {
		key, err := in.Head()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSyntax, err)
		}
		switch key.Major {
		case cbor.MajorUint, cbor.MajorNegative:
			err = fieldCBOR(in, r, number(key))
		case cbor.MajorText:
			err = namedCBOR(in, r, key)
		default:
			err = fmt.Errorf("%w: key of type %d", ErrLabel, key.Major)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unknownLabel is none of the labels above.
const unknownLabel = 127

// number returns the label that h holds.
func number(h cbor.Head) int {
	switch {
	case h.Arg > 64:
		return unknownLabel
	case h.Major == cbor.MajorNegative:
		return -1 - int(h.Arg)
	default:
		return int(h.Arg)
	}
}

// namedCBOR reads a field with a text key: vlo, or an extension. Those that end
// in "_" must be understood (RFC 8428 §4.4).
func namedCBOR(in *cbor.Reader, r *record, key cbor.Head) error {
	name, err := in.Content(key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if string(name) != labelLink {
		if len(name) > 0 && name[len(name)-1] == '_' {
			return fmt.Errorf("%w: %q", ErrLabel, name)
		}
		return skipCBOR(in)
	}
	v, err := valueCBOR(in)
	if err != nil {
		return err
	}
	if v.Kind() != lwm2m.KindString || !r.mark(hasValue) {
		return fmt.Errorf("%w: vlo", ErrLabel)
	}
	r.value, err = v.Convert(lwm2m.KindObjlnk)
	return err
}

func skipCBOR(in *cbor.Reader) error {
	if err := in.Skip(); err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return nil
}

func valueCBOR(in *cbor.Reader) (lwm2m.Value, error) {
	v, err := in.Value()
	if err != nil {
		return v, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return v, nil
}

// cborField says what a label means: which bit it sets, and of which kind its
// value is (KindFloat: any number).
func cborField(label int) (uint16, lwm2m.Kind) {
	switch label {
	case labelVersion:
		return hasVersion, lwm2m.KindFloat
	case labelBaseTime:
		return hasBaseTime, lwm2m.KindFloat
	case labelBaseValue:
		return hasBaseValue, lwm2m.KindFloat
	case labelTime:
		return hasTime, lwm2m.KindFloat
	case labelValue:
		return hasValue, lwm2m.KindFloat
	case labelString:
		return hasValue, lwm2m.KindString
	case labelBoolean:
		return hasValue, lwm2m.KindBoolean
	case labelData:
		return hasValue, lwm2m.KindOpaque
	case labelBaseSum:
		return hasBaseSum, lwm2m.KindFloat
	case labelSum:
		return hasSum, lwm2m.KindFloat
	case labelUpdate:
		return hasUpdate, lwm2m.KindFloat
	case labelBaseUnit:
		return hasBaseUnit, lwm2m.KindString
	case labelUnit:
		return hasUnit, lwm2m.KindString
	}
	return 0, lwm2m.KindNone
}

// fieldCBOR reads the field called label.
func fieldCBOR(in *cbor.Reader, r *record, label int) error {
	if label == labelName || label == labelBaseName {
		return nameCBOR(in, r, label)
	}
	field, kind := cborField(label)
	if field == 0 {
		return skipCBOR(in)
	}
	if !r.mark(field) {
		return fmt.Errorf("%w: %d again", ErrLabel, label)
	}
	h, err := in.Head()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if label == labelValue && h.IsNull() {
		r.isNull = true
		return nil
	}
	v, err := in.ValueOf(h)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return r.set(field, kind, v)
}

func nameCBOR(in *cbor.Reader, r *record, label int) error {
	h, err := in.Head()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if h.Major != cbor.MajorText {
		return fmt.Errorf("%w: name of type %d", ErrLabel, h.Major)
	}
	text, err := in.Content(h)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return r.setName(label == labelBaseName, text)
}
