package senml

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"steward/lwm2m"
)

// DecodeJSON reads a pack of SenML JSON. It returns the errors of DecodeCBOR.
func DecodeJSON(body []byte, o Options) (lwm2m.Pack, error) {
	s := resolver{options: o}
	if err := eachJSON(body, s.add); err != nil {
		return lwm2m.Pack{}, err
	}
	return s.finish()
}

// DecodePathsJSON reads the names of a composite request below prefix (§6.3.8).
// It returns the errors of DecodeJSON and lwm2m.ErrPrefix.
func DecodePathsJSON(body []byte, prefix string) ([]lwm2m.Path, error) {
	s := pathReader{prefix: prefix}
	if err := eachJSON(body, s.add); err != nil {
		return nil, err
	}
	return s.paths, s.duplicate()
}

func eachJSON(body []byte, add func(*record) error) error {
	in := scanner{data: body}
	n := 0
	var r record
	err := in.each('[', ']', func() error {
		r = record{}
		if err := in.object(func(label string) error { return fieldJSON(&in, &r, label) }); err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		if err := add(&r); err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		n++
		return nil
	})
	if err != nil {
		return err
	}
	return in.end()
}

// jsonLabels gives the number of each label of RFC 8428 §6, Table 4.
var jsonLabels = map[string]int{
	"bver": labelVersion, "bn": labelBaseName, "bt": labelBaseTime, "bu": labelBaseUnit,
	"bv": labelBaseValue, "bs": labelBaseSum, "n": labelName, "u": labelUnit, "v": labelValue,
	"vs": labelString, "vb": labelBoolean, "s": labelSum, "t": labelTime, "ut": labelUpdate, "vd": labelData,
}

// fieldJSON reads the field called name.
func fieldJSON(in *scanner, r *record, name string) error {
	if name == labelLink {
		return linkJSON(in, r)
	}
	label, known := jsonLabels[name]
	switch {
	case !known && strings.HasSuffix(name, "_"): // RFC 8428 §4.4
		return fmt.Errorf("%w: %q", ErrLabel, name)
	case !known:
		return in.skip(maxDepth)
	case label == labelName || label == labelBaseName:
		text, err := in.text()
		if err != nil {
			return err
		}
		return r.setName(label == labelBaseName, text)
	}
	field, kind := cborField(label)
	if !r.mark(field) {
		return fmt.Errorf("%w: %s again", ErrLabel, name)
	}
	if label == labelValue && in.literal("null") {
		r.isNull = true
		return nil
	}
	v, err := valueJSON(in, kind)
	if err != nil {
		return err
	}
	return r.set(field, kind, v)
}

func valueJSON(in *scanner, kind lwm2m.Kind) (lwm2m.Value, error) {
	if kind == lwm2m.KindBoolean {
		return in.boolean()
	}
	if kind == lwm2m.KindFloat {
		return in.number()
	}
	text, err := in.text()
	if err != nil {
		return lwm2m.Value{}, err
	}
	if kind == lwm2m.KindOpaque {
		return data(text)
	}
	return lwm2m.String(string(text)), nil
}

func linkJSON(in *scanner, r *record) error {
	text, err := in.text()
	if err != nil {
		return err
	}
	if !r.mark(hasValue) {
		return fmt.Errorf("%w: vlo", ErrLabel)
	}
	r.value, err = lwm2m.ParseValue(lwm2m.KindObjlnk, string(text))
	return err
}

// data decodes base64 in either alphabet, padded or not: RFC 8428 §5 wants the
// URL alphabet without padding, LwM2M 1.2.0 printed the other one.
func data(text []byte) (lwm2m.Value, error) {
	raw := bytes.TrimRight(text, "=")
	encoding := base64.RawURLEncoding
	if bytes.ContainsAny(raw, "+/") {
		encoding = base64.RawStdEncoding
	}
	if len(text)-len(raw) > 2 || (len(text) != len(raw) && len(text)%4 != 0) || bytes.ContainsAny(raw, "\r\n") {
		return lwm2m.Value{}, fmt.Errorf("%w: base64", lwm2m.ErrValue)
	}
	out := make([]byte, encoding.DecodedLen(len(raw)))
	n, err := encoding.Strict().Decode(out, raw)
	if err != nil {
		return lwm2m.Value{}, fmt.Errorf("%w: base64", lwm2m.ErrValue)
	}
	return lwm2m.Opaque(out[:n]), nil
}
