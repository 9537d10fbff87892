package codec

import (
	"fmt"
	"slices"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/lwcbor"
	"steward/lwm2m/plain"
	"steward/lwm2m/senml"
	"steward/lwm2m/tlv"
)

// request is what a decoder may need to know beside the body.
type request struct {
	base   lwm2m.Path
	schema lwm2m.Schema
	now    time.Time
}

// senml returns the request as options of package senml.
func (r request) senml(etch bool) senml.Options {
	return senml.Options{Schema: r.schema, Now: r.now, Etch: etch}
}

// row binds a format to its functions; nil where it cannot.
type row struct {
	ids         []uint16 // the number, then the provisional one of early releases
	named       bool     // carries whole names, so an alternate path shows
	decode      func(request, []byte) (lwm2m.Pack, error)
	encode      func(lwm2m.Path, lwm2m.Pack) ([]byte, error)
	decodePaths func(body []byte, prefix string) ([]lwm2m.Path, error)
	encodePaths func(paths []lwm2m.Path, prefix string) []byte
}

var rows = []row{
	{ids: []uint16{Text, 1541}, decode: single(plain.DecodeText), encode: one(plain.EncodeText)},
	{ids: []uint16{Opaque}, decode: single(plain.DecodeOpaque), encode: one(plain.EncodeOpaque)},
	{ids: []uint16{CBOR}, decode: single(plain.DecodeCBOR), encode: one(plain.EncodeCBOR)},
	{
		ids: []uint16{SenMLJSON}, named: true,
		decode:      func(r request, b []byte) (lwm2m.Pack, error) { return senml.DecodeJSON(b, r.senml(false)) },
		encode:      func(_ lwm2m.Path, p lwm2m.Pack) ([]byte, error) { return senml.EncodeJSON(p, false) },
		decodePaths: senml.DecodePathsJSON, encodePaths: senml.EncodePathsJSON,
	},
	{
		ids: []uint16{SenMLCBOR}, named: true,
		decode:      func(r request, b []byte) (lwm2m.Pack, error) { return senml.DecodeCBOR(b, r.senml(false)) },
		encode:      func(_ lwm2m.Path, p lwm2m.Pack) ([]byte, error) { return senml.EncodeCBOR(p, false) },
		decodePaths: senml.DecodePathsCBOR, encodePaths: senml.EncodePathsCBOR,
	},
	{
		ids: []uint16{ETCHJSON}, named: true,
		decode:      func(r request, b []byte) (lwm2m.Pack, error) { return senml.DecodeJSON(b, r.senml(true)) },
		encode:      func(_ lwm2m.Path, p lwm2m.Pack) ([]byte, error) { return senml.EncodeJSON(p, true) },
		decodePaths: senml.DecodePathsJSON, encodePaths: senml.EncodePathsJSON,
	},
	{
		ids: []uint16{ETCHCBOR}, named: true,
		decode:      func(r request, b []byte) (lwm2m.Pack, error) { return senml.DecodeCBOR(b, r.senml(true)) },
		encode:      func(_ lwm2m.Path, p lwm2m.Pack) ([]byte, error) { return senml.EncodeCBOR(p, true) },
		decodePaths: senml.DecodePathsCBOR, encodePaths: senml.EncodePathsCBOR,
	},
	{
		ids: []uint16{TLV, 1542},
		decode: func(r request, b []byte) (lwm2m.Pack, error) {
			entries, err := tlv.Decode(r.base, b, r.schema)
			return lwm2m.Pack{Entries: entries}, err
		},
		encode: func(base lwm2m.Path, p lwm2m.Pack) ([]byte, error) { return tlv.Encode(base, p.Entries) },
	},
	{
		ids: []uint16{JSON, 1543}, named: true,
		decode: func(r request, b []byte) (lwm2m.Pack, error) { return senml.DecodeOMA(r.base, b, r.senml(false)) },
	},
	{
		ids: []uint16{LwM2MCBOR}, named: true,
		decode: func(r request, b []byte) (lwm2m.Pack, error) { return lwcbor.Decode(b, r.schema) },
		encode: func(_ lwm2m.Path, p lwm2m.Pack) ([]byte, error) { return lwcbor.Encode(p) },
	},
}

func lookup(format uint16) (row, bool) {
	for _, r := range rows {
		if slices.Contains(r.ids, format) {
			return r, true
		}
	}
	return row{}, false
}

// single makes a decoder of one value: that of the node at base.
func single(decode func(lwm2m.Kind, []byte) (lwm2m.Value, error)) func(request, []byte) (lwm2m.Pack, error) {
	return func(r request, body []byte) (lwm2m.Pack, error) {
		if r.base.Len() < 3 {
			return lwm2m.Pack{}, fmt.Errorf("%w: one value for %s", lwm2m.ErrPath, r.base)
		}
		v, err := decode(lwm2m.KindOf(r.schema, r.base), body)
		return lwm2m.Pack{Entries: []lwm2m.Entry{{Path: r.base, Value: v}}}, err
	}
}

// one makes an encoder of one value, that of the node at base.
func one(encode func(lwm2m.Value) ([]byte, error)) func(lwm2m.Path, lwm2m.Pack) ([]byte, error) {
	return func(base lwm2m.Path, p lwm2m.Pack) ([]byte, error) {
		if len(p.Entries) != 1 || p.Entries[0].Path != base {
			return nil, fmt.Errorf("%w: one value only", ErrFormat)
		}
		return encode(p.Entries[0].Value)
	}
}
