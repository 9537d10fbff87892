package c509

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte/asn1"
)

// A Template says what a server wants in a request (§4.4). A nil list leaves the
// field to the client.
type Template struct {
	Types      []Type
	Signatures [][]byte // AlgorithmIdentifiers in DER, of which the client takes one
	Subject    []AttributeTemplate
	Keys       [][]byte // as Signatures
	Extensions []ExtensionTemplate
}

// An AttributeTemplate is one kind of attribute of the subject.
type AttributeTemplate struct {
	OID      []byte // content in DER
	Min, Max uint64 // how many there may be
	Value    []byte // CBOR, or the value in DER if the attribute has no code; nil: the client's
}

// An ExtensionTemplate is one extension to ask for.
type ExtensionTemplate struct {
	OID      []byte // content in DER
	Optional bool
	// Value is CBOR in the extension's form, perhaps with undefined inside where the
	// client fills in, or the value in DER if the extension has no code; nil: the
	// client's.
	Value []byte
}

// templateItems is how many items a template has; the only type is 0.
const templateItems = 7

// ParseTemplate reads a template of type 0. It returns ErrSize, ErrCBOR, ErrForm
// or ErrCode.
func ParseTemplate(b []byte) (*Template, error) {
	items, _, err := fields(b, templateItems)
	if err != nil {
		return nil, err
	}
	if n, ok := items[0].int(); !ok || n != 0 {
		return nil, fmt.Errorf("%w: type of the template", ErrCode)
	}
	if !items[5].undefined() {
		return nil, fmt.Errorf("%w: a template has no key", ErrForm)
	}
	var t Template
	if err := t.readAlgorithms(items); err != nil {
		return nil, err
	}
	if !items[3].undefined() {
		t.Subject = []AttributeTemplate{}
	}
	if !items[6].undefined() {
		t.Extensions = []ExtensionTemplate{}
	}
	if err := groups(items[3], 4, t.readAttribute); err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	if err := groups(items[6], 3, t.readExtension); err != nil {
		return nil, fmt.Errorf("extensions: %w", err)
	}
	return &t, nil
}

// groups calls f with each n items of an array; undefined has none.
func groups(it item, n int, f func([]item) error) error {
	if it.undefined() {
		return nil
	}
	if !it.is(majorArray) || len(it.items)%n != 0 {
		return fmt.Errorf("%w: array of %ds", ErrForm, n)
	}
	for i := 0; i < len(it.items); i += n {
		if err := f(it.items[i : i+n]); err != nil {
			return err
		}
	}
	return nil
}

func (t *Template) readAlgorithms(items []item) error {
	for _, i := range []int{1, 2, 4} {
		if items[i].is(majorArray) && len(items[i].items) == 0 {
			return fmt.Errorf("%w: nothing to choose from", ErrForm)
		}
	}
	err := groups(items[1], 1, func(it []item) error {
		typ, _, err := typeOf(it[0])
		t.Types = append(t.Types, typ)
		return err
	})
	if err != nil {
		return err
	}
	err = groups(items[2], 1, func(it []item) error {
		der, err := algorithmDER(signatures, it[0])
		t.Signatures = append(t.Signatures, der)
		return err
	})
	if err != nil {
		return err
	}
	return groups(items[4], 1, func(it []item) error {
		der, err := algorithmDER(keys, it[0])
		t.Keys = append(t.Keys, der)
		return err
	})
}

// templateID reads the type of an attribute or extension, which has no sign here.
func templateID(r registry, it item) (oid []byte, code bool, err error) {
	if it.is(majorNegative) {
		return nil, false, fmt.Errorf("%w: negative type", ErrForm)
	}
	der, err := codec{native: true}.object(r, it)
	if err != nil {
		return nil, false, err
	}
	content, _ := only(der, asn1.OBJECT_IDENTIFIER)
	return content, it.is(majorUint), nil
}

func (t *Template) readAttribute(it []item) error {
	oid, code, err := templateID(attributes, it[0])
	if err != nil {
		return err
	}
	if !it[1].is(majorUint) || !it[2].is(majorUint) || it[2].n == 0 || it[2].n < it[1].n {
		return fmt.Errorf("%w: occurrences", ErrForm)
	}
	a := AttributeTemplate{OID: oid, Min: it[1].n, Max: it[2].n}
	switch {
	case it[3].undefined():
	case code:
		if _, err := specialString(it[3]); err != nil {
			return err
		}
		a.Value = it[3].raw
	case !it[3].is(majorBytes) || !oneElement(it[3].bytes):
		return fmt.Errorf("%w: attribute value", ErrForm)
	default:
		a.Value = it[3].bytes
	}
	t.Subject = append(t.Subject, a)
	return nil
}

func (t *Template) readExtension(it []item) error {
	oid, code, err := templateID(extensionIDs, it[0])
	if err != nil {
		return err
	}
	if !it[1].is(majorSimple) || it[1].n > simpleTrue {
		return fmt.Errorf("%w: optional", ErrForm)
	}
	x := ExtensionTemplate{OID: oid, Optional: it[1].n == simpleTrue}
	switch {
	case it[2].undefined():
	case code:
		x.Value = it[2].raw
	case !it[2].is(majorBytes):
		return fmt.Errorf("%w: value of an extension", ErrForm)
	default:
		x.Value = it[2].bytes
	}
	t.Extensions = append(t.Extensions, x)
	return nil
}

// EncodeText returns the value of an attribute that is text, such as a name, in CBOR
// (§3.1.4).
func EncodeText(text string) []byte { return specialText([]byte(text)) }

// Encode returns the template's array.
func (t *Template) Encode() ([]byte, error) {
	undefined := appendHead(nil, majorSimple, simpleUndefined)
	items := [templateItems][]byte{encodeInt(0), undefined, undefined, undefined, undefined, undefined, undefined}
	if t.Types != nil {
		var types [][]byte
		for _, typ := range t.Types {
			types = append(types, encodeInt(int64(typ)))
		}
		items[1] = array(types...)
	}
	for i, list := range map[int][][]byte{2: t.Signatures, 4: t.Keys} {
		if list == nil {
			continue
		}
		algorithms, err := templateAlgorithms(map[int]registry{2: signatures, 4: keys}[i], list)
		if err != nil {
			return nil, err
		}
		items[i] = algorithms
	}
	if t.Subject != nil {
		items[3] = t.subject(undefined)
	}
	if t.Extensions != nil {
		items[6] = t.extensions(undefined)
	}
	out := array(items[:]...)
	if _, err := ParseTemplate(out); err != nil {
		return nil, err
	}
	return out, nil
}

func templateAlgorithms(r registry, list [][]byte) ([]byte, error) {
	var out [][]byte
	for _, der := range list {
		it, ok := algorithm(r, der)
		if !ok {
			return nil, fmt.Errorf("%w: AlgorithmIdentifier", ErrDER)
		}
		out = append(out, it)
	}
	return array(out...), nil
}

func (t *Template) subject(undefined []byte) []byte {
	var out [][]byte
	for _, a := range t.Subject {
		_, coded := attributes.code(a.OID)
		out = append(out, identifier(attributes, a.OID), appendHead(nil, majorUint, a.Min),
			appendHead(nil, majorUint, a.Max), templateValue(a.Value, coded, undefined))
	}
	return array(out...)
}

func (t *Template) extensions(undefined []byte) []byte {
	var out [][]byte
	for _, x := range t.Extensions {
		optional := uint64(simpleFalse)
		if x.Optional {
			optional = simpleTrue
		}
		_, coded := extensionIDs.code(x.OID)
		out = append(out, identifier(extensionIDs, x.OID), appendHead(nil, majorSimple, optional),
			templateValue(x.Value, coded, undefined))
	}
	return array(out...)
}

func templateValue(v []byte, coded bool, undefined []byte) []byte {
	switch {
	case v == nil:
		return undefined
	case coded:
		return v
	}
	return appendBytes(nil, v)
}
