package senml

import (
	"encoding/base64"
	"fmt"
	"strings"

	"steward/lwm2m"
)

// omaLabels gives the value type of each label of an element of OMA JSON
// (Core 1.0.2 §6.4.4). Opaque values are base64 in sv.
var omaLabels = map[string]struct {
	field uint16
	kind  lwm2m.Kind
}{
	"n": {hasName, lwm2m.KindString}, "t": {hasTime, lwm2m.KindFloat}, "v": {hasValue, lwm2m.KindFloat},
	"bv": {hasValue, lwm2m.KindBoolean}, "sv": {hasValue, lwm2m.KindString}, "ov": {hasValue, lwm2m.KindObjlnk},
}

// DecodeOMA reads the JSON format of LwM2M 1.0, Content-Format 11543. Names are
// relative to base when the body has no base name. It returns the errors of
// DecodeJSON.
func DecodeOMA(base lwm2m.Path, body []byte, o Options) (lwm2m.Pack, error) {
	in := scanner{data: body}
	s := resolver{options: o}
	var head record
	var elements []record // base name and time may follow them
	err := in.object(func(label string) error {
		switch label {
		case "bn":
			text, err := in.text()
			if err != nil {
				return err
			}
			return head.setName(true, text)
		case "bt":
			return omaField(&in, &head, hasBaseTime, lwm2m.KindFloat)
		case "e":
			if !head.mark(hasValue) {
				return fmt.Errorf("%w: e again", ErrLabel)
			}
			var err error
			elements, err = omaElements(&in)
			return err
		}
		return in.skip(maxDepth)
	})
	if err != nil {
		return lwm2m.Pack{}, err
	}
	if err := in.end(); err != nil {
		return lwm2m.Pack{}, err
	}
	if head.has&hasValue == 0 {
		return lwm2m.Pack{}, fmt.Errorf("%w: no e", ErrSyntax)
	}
	if err := s.base(&head); err != nil {
		return lwm2m.Pack{}, err
	}
	for i := range elements {
		if err := s.addOMA(&elements[i], base, head.has&hasBaseName != 0); err != nil {
			return lwm2m.Pack{}, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return s.finish()
}

func omaElements(in *scanner) ([]record, error) {
	var out []record
	err := in.each('[', ']', func() error {
		if len(out) == lwm2m.MaxEntries {
			return ErrLimit
		}
		var r record
		err := in.object(func(label string) error {
			l, ok := omaLabels[label]
			if !ok {
				return in.skip(maxDepth)
			}
			return omaField(in, &r, l.field, l.kind)
		})
		out = append(out, r)
		return err
	})
	return out, err
}

func omaField(in *scanner, r *record, field uint16, kind lwm2m.Kind) error {
	if field == hasName {
		text, err := in.text()
		if err != nil {
			return err
		}
		return r.setName(false, text)
	}
	if !r.mark(field) {
		return fmt.Errorf("%w: again", ErrLabel)
	}
	v, err := valueJSON(in, kind)
	if err != nil {
		return err
	}
	if kind == lwm2m.KindObjlnk {
		if v, err = v.Convert(kind); err != nil {
			return err
		}
	}
	return r.set(field, kind, v)
}

// addOMA places one element: without a base name a relative name continues the
// request's path.
func (s *resolver) addOMA(r *record, base lwm2m.Path, absolute bool) error {
	if !absolute && !strings.HasPrefix(string(r.name), "/") {
		name := base.String()
		if len(r.name) > 0 {
			name = strings.TrimSuffix(name, "/") + "/"
		}
		r.name = append([]byte(name), r.name...)
	}
	_, path, err := s.name(r)
	if err != nil {
		return err
	}
	if r.value.Kind() == lwm2m.KindString && lwm2m.KindOf(s.options.Schema, path) == lwm2m.KindOpaque {
		raw, err := base64.StdEncoding.Strict().DecodeString(r.value.Text())
		if err != nil {
			return fmt.Errorf("%w: base64", lwm2m.ErrValue)
		}
		r.value = lwm2m.Opaque(raw)
	}
	return s.add(r)
}
