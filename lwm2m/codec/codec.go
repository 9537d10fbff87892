// Package codec is the table of content formats: which decoder and encoder
// belongs to a Content-Format (§7.5), and which format suits which client.
package codec

import (
	"errors"
	"fmt"
	"time"

	"steward/lwm2m"
)

// Content-Format numbers (§7.5; CoAP Content-Formats registry).
const (
	Text      uint16 = 0
	Link      uint16 = 40
	Opaque    uint16 = 42
	CBOR      uint16 = 60
	SenMLJSON uint16 = 110
	SenMLCBOR uint16 = 112
	ETCHJSON  uint16 = 320
	ETCHCBOR  uint16 = 322
	TLV       uint16 = 11542
	JSON      uint16 = 11543
	LwM2MCBOR uint16 = 11544
)

// MaxBody is the length in bytes of the longest body that is decoded: a firmware
// image in one TLV, whose length has 24 bits.
const MaxBody = 1 << 24

var (
	// ErrFormat reports a Content-Format that is unknown or cannot hold what it
	// is asked for; on the wire it is 4.15 or 4.06.
	ErrFormat = errors.New("unsupported content format")
	// ErrSyntax reports a body that its format or the schema does not allow. It
	// wraps the decoder's own error and lwm2m.ErrValue or ErrPath, if any.
	ErrSyntax = errors.New("malformed body")
	// ErrBody reports a body longer than MaxBody.
	ErrBody = errors.New("body too long")
)

// Options hold what few callers need. The zero value is ready for use.
type Options struct {
	// Prefix stands in front of every path of formats that carry whole names:
	// the alternate path of the client (§6.2.1) or the prefix of a device behind
	// a gateway. It has no slash at either end.
	Prefix string
	// Now resolves SenML times that are relative to now (RFC 8428 §4.5.3). If
	// zero, such entries have no time.
	Now time.Time
}

// Decode reads the body of a request or answer on the node at base. s may be
// nil: then values have the type that the format gives them. Entries come in
// the order of the body. Formats with whole names may hold entries outside of
// base, which the caller judges. An instance that a Create body does not name
// is lwm2m.NoID; a deletion (ETCH formats only) has the zero Value. It returns
// ErrFormat, ErrBody or ErrSyntax.
func Decode(format uint16, base lwm2m.Path, body []byte, s lwm2m.Schema) ([]lwm2m.Entry, error) {
	return Options{}.Decode(format, base, body, s)
}

// Encode writes entries as the body of a request or answer on the node at base.
// Values are converted to the types that s knows; s may be nil. It returns
// ErrFormat if the format cannot hold these entries, lwm2m.ErrValue for a value
// that it cannot, and lwm2m.ErrPath for an entry outside of base.
func Encode(format uint16, base lwm2m.Path, entries []lwm2m.Entry, s lwm2m.Schema) ([]byte, error) {
	return Options{}.Encode(format, base, entries, s)
}

// DecodePaths reads the body of a Read-Composite or Observe-Composite (§6.3.8).
// It returns ErrFormat, ErrBody or ErrSyntax.
func DecodePaths(format uint16, body []byte) ([]lwm2m.Path, error) {
	return Options{}.DecodePaths(format, body)
}

// EncodePaths writes the body of a Read-Composite or Observe-Composite.
// It returns ErrFormat.
func EncodePaths(format uint16, paths []lwm2m.Path) ([]byte, error) {
	return Options{}.EncodePaths(format, paths)
}

// Decode is the function Decode with options. A name that is not below
// o.Prefix is ErrSyntax, wrapping lwm2m.ErrPrefix.
func (o Options) Decode(format uint16, base lwm2m.Path, body []byte, s lwm2m.Schema) ([]lwm2m.Entry, error) {
	pack, err := o.DecodePack(format, base, body, s)
	if err != nil {
		return nil, err
	}
	r, _ := lookup(format)
	if !r.named {
		return pack.Entries, nil
	}
	entries, err := pack.Under(o.Prefix)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return entries, nil
}

// DecodePack is Decode for a body whose names may have any prefixes, such as the
// Send of a gateway. It ignores o.Prefix.
func (o Options) DecodePack(format uint16, base lwm2m.Path, body []byte, s lwm2m.Schema) (lwm2m.Pack, error) {
	r, ok := lookup(format)
	if !ok || r.decode == nil {
		return lwm2m.Pack{}, fmt.Errorf("%w: %d", ErrFormat, format)
	}
	if len(body) > MaxBody {
		return lwm2m.Pack{}, fmt.Errorf("%w: %d bytes", ErrBody, len(body))
	}
	pack, err := r.decode(request{base: base, schema: s, now: o.Now}, body)
	if err != nil {
		return lwm2m.Pack{}, fmt.Errorf("%w: format %d: %w", ErrSyntax, format, err)
	}
	return pack, nil
}

// Encode is the function Encode with options.
func (o Options) Encode(format uint16, base lwm2m.Path, entries []lwm2m.Entry, s lwm2m.Schema) ([]byte, error) {
	pack := lwm2m.Pack{Entries: entries}
	if o.Prefix != "" {
		pack.Prefixes = make([]string, len(entries))
		for i := range pack.Prefixes {
			pack.Prefixes[i] = o.Prefix
		}
	}
	return EncodePack(format, base, pack, s)
}

// EncodePack is Encode for entries below several prefixes. Formats without whole
// names ignore the prefixes: there they are part of the request's path.
func EncodePack(format uint16, base lwm2m.Path, pack lwm2m.Pack, s lwm2m.Schema) ([]byte, error) {
	r, ok := lookup(format)
	if !ok || r.encode == nil {
		return nil, fmt.Errorf("%w: %d", ErrFormat, format)
	}
	if len(pack.Entries) > lwm2m.MaxEntries {
		return nil, fmt.Errorf("%w: %d entries", ErrBody, len(pack.Entries))
	}
	entries, err := typed(base, pack.Entries, s)
	if err != nil {
		return nil, err
	}
	return r.encode(base, lwm2m.Pack{Entries: entries, Prefixes: pack.Prefixes})
}

// DecodePaths is the function DecodePaths with options.
func (o Options) DecodePaths(format uint16, body []byte) ([]lwm2m.Path, error) {
	r, ok := lookup(format)
	if !ok || r.decodePaths == nil {
		return nil, fmt.Errorf("%w: %d holds no paths", ErrFormat, format)
	}
	if len(body) > MaxBody {
		return nil, fmt.Errorf("%w: %d bytes", ErrBody, len(body))
	}
	paths, err := r.decodePaths(body, o.Prefix)
	if err != nil {
		return nil, fmt.Errorf("%w: format %d: %w", ErrSyntax, format, err)
	}
	return paths, nil
}

// EncodePaths is the function EncodePaths with options.
func (o Options) EncodePaths(format uint16, paths []lwm2m.Path) ([]byte, error) {
	r, ok := lookup(format)
	if !ok || r.encodePaths == nil {
		return nil, fmt.Errorf("%w: %d holds no paths", ErrFormat, format)
	}
	return r.encodePaths(paths, o.Prefix), nil
}

// typed checks that entries lie below base and converts their values to the
// kinds that s knows. It copies the slice only if something changes.
func typed(base lwm2m.Path, entries []lwm2m.Entry, s lwm2m.Schema) ([]lwm2m.Entry, error) {
	out := entries
	for i, e := range entries {
		if !base.Contains(e.Path) || e.Path.Len() < 3 {
			return nil, fmt.Errorf("%w: %s is no value of %s", lwm2m.ErrPath, e.Path, base)
		}
		if e.Value == (lwm2m.Value{}) { // a deletion, of which the encoder decides
			continue
		}
		v, err := e.Value.Convert(lwm2m.KindOf(s, e.Path))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		if v == e.Value {
			continue
		}
		if &out[0] == &entries[0] {
			out = append([]lwm2m.Entry(nil), entries...)
		}
		out[i].Value = v
	}
	return out, nil
}
