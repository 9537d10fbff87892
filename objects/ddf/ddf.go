// Package ddf reads object definitions as OMA publishes them: XML documents of the
// Device Description Framework (LWM2M.xsd). Descriptions are left out.
package ddf

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"steward/lwm2m"
	"steward/objects/registry"
)

// ErrSyntax reports a document that is not a definition as OMA publishes them.
var ErrSyntax = errors.New("not an object definition")

// ErrLimit reports a document that is too large, too deep or has too many parts.
var ErrLimit = errors.New("object definition too large")

// Bounds of a document: those of OMA have less than 100 KiB, 200 resources and five
// levels.
const (
	MaxDocument  = 256 << 10 // bytes
	maxDepth     = 8
	maxElements  = 20_000
	maxObjects   = 16
	maxResources = 1000
	maxName      = 128 // bytes, of names and URNs
	maxUnits     = 32  // bytes
	maxRange     = 512 // bytes
)

// Parse reads the objects of a document. It returns ErrSyntax or ErrLimit. A
// document type, with which entities are declared, is ErrSyntax: nothing outside
// the document is read, and nothing in it grows.
func Parse(document []byte) ([]registry.Object, error) {
	if len(document) > MaxDocument {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrLimit, MaxDocument)
	}
	root, err := tree(document)
	if err != nil {
		return nil, err
	}
	if root.name != "LWM2M" {
		return nil, fmt.Errorf("%w: begins with %q, not LWM2M", ErrSyntax, printable(root.name))
	}
	var out []registry.Object
	for _, e := range root.children {
		if e.name != "Object" {
			continue
		}
		o, err := e.object()
		if err != nil {
			return nil, err
		}
		if len(out) == maxObjects {
			return nil, fmt.Errorf("%w: more than %d objects", ErrLimit, maxObjects)
		}
		if slices.ContainsFunc(out, func(p registry.Object) bool { return p.ID == o.ID && p.Version == o.Version }) {
			return nil, fmt.Errorf("%w: object %d %s twice", ErrSyntax, o.ID, o.Version)
		}
		out = append(out, o)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no Object in it", ErrSyntax)
	}
	return out, nil
}

// An element is one of a document.
type element struct {
	name, id string // id: its attribute ID
	text     strings.Builder
	children []*element
}

// A reader builds the elements of a document.
type reader struct {
	open  []*element // from the root's parent to the one being read
	count int
}

// tree reads the elements of a document.
func tree(document []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(document, []byte("\xef\xbb\xbf"))))
	top := &element{}
	r := reader{open: []*element{top}}
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s", ErrSyntax, printable(err.Error()))
		}
		if err := r.take(token); err != nil {
			return nil, err
		}
	}
	if len(r.open) > 1 || len(top.children) != 1 || strings.TrimSpace(top.text.String()) != "" {
		return nil, fmt.Errorf("%w: not one whole element", ErrSyntax)
	}
	return top.children[0], nil
}

// take takes one token.
func (r *reader) take(token xml.Token) error {
	last := r.open[len(r.open)-1]
	switch t := token.(type) {
	case xml.StartElement:
		if r.count++; r.count > maxElements || len(r.open) > maxDepth {
			return fmt.Errorf("%w: more than %d elements, or deeper than %d", ErrLimit, maxElements, maxDepth)
		}
		e := &element{name: t.Name.Local}
		for _, a := range t.Attr {
			if a.Name.Local == "ID" {
				e.id = a.Value
			}
		}
		last.children = append(last.children, e)
		r.open = append(r.open, e)
	case xml.EndElement:
		if len(r.open) == 1 || last.name != t.Name.Local {
			return fmt.Errorf("%w: %q ends where it did not begin", ErrSyntax, printable(t.Name.Local))
		}
		r.open = r.open[:len(r.open)-1]
	case xml.CharData:
		last.text.Write(t)
	case xml.Directive:
		return fmt.Errorf("%w: document types and entities are refused", ErrSyntax)
	}
	return nil
}

// child returns the only child with a name, nil if there is none.
func (e *element) child(name string) (found *element, err error) {
	for _, c := range e.children {
		if c.name != name {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%w: %s twice", ErrSyntax, name)
		}
		found = c
	}
	return found, nil
}

// value returns the text of a child on one line, "" if there is none. It is for
// people: it must be printable, and no longer than most.
func (e *element) value(name string, most int) (string, error) {
	c, err := e.child(name)
	if c == nil || err != nil {
		return "", err
	}
	text := strings.Join(strings.Fields(c.text.String()), " ")
	if len(text) > most {
		return "", fmt.Errorf("%w: %s of more than %d bytes", ErrLimit, name, most)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return "", fmt.Errorf("%w: %s has characters that cannot be printed", ErrSyntax, name)
	}
	return text, nil
}

// values reads several texts; the first error counts.
func (e *element) values(into map[string]*string, most map[string]int) error {
	for name, to := range into {
		limit, ok := most[name]
		if !ok {
			limit = maxName
		}
		var err error
		if *to, err = e.value(name, limit); err != nil {
			return err
		}
	}
	return nil
}

// object reads one definition.
func (e *element) object() (o registry.Object, err error) {
	var id, multiple, mandatory string
	err = e.values(map[string]*string{
		"Name": &o.Name, "ObjectID": &id, "ObjectURN": &o.URN, "LWM2MVersion": &o.LwM2M, "ObjectVersion": &o.Version,
		"MultipleInstances": &multiple, "Mandatory": &mandatory,
	}, nil)
	if err != nil {
		return o, err
	}
	if o.ID, err = identifier(id); err != nil {
		return o, fmt.Errorf("object: %w", err)
	}
	if o.Name == "" {
		return o, fmt.Errorf("%w: object %d has no name", ErrSyntax, o.ID)
	}
	for _, v := range []*string{&o.LwM2M, &o.Version} {
		if *v == "" {
			*v = "1.0"
		}
		if !isVersion(*v) {
			return o, fmt.Errorf("%w: version %q", ErrSyntax, *v)
		}
	}
	if o.Multiple, err = one(multiple, "Multiple", "Single"); err != nil {
		return o, fmt.Errorf("object %d: %w", o.ID, err)
	}
	if o.Mandatory, err = one(mandatory, "Mandatory", "Optional"); err != nil {
		return o, fmt.Errorf("object %d: %w", o.ID, err)
	}
	o.Resources, err = e.resources()
	return o, err
}

// resources reads the resources of an object, in order of their ids.
func (e *element) resources() ([]registry.Resource, error) {
	list, err := e.child("Resources")
	if list == nil || err != nil {
		return nil, err
	}
	var out []registry.Resource
	seen := map[uint16]bool{}
	for _, item := range list.children {
		if item.name != "Item" {
			continue
		}
		r, err := item.resource()
		if err != nil {
			return nil, err
		}
		if seen[r.ID] {
			return nil, fmt.Errorf("%w: resource %d twice", ErrSyntax, r.ID)
		}
		if seen[r.ID] = true; len(out) == maxResources {
			return nil, fmt.Errorf("%w: more than %d resources", ErrLimit, maxResources)
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b registry.Resource) int { return int(a.ID) - int(b.ID) })
	return out, nil
}

// kinds are the types of resources (Appendix C); executables have none.
var kinds = map[string]lwm2m.Kind{
	"": lwm2m.KindNone, "none": lwm2m.KindNone, "string": lwm2m.KindString, "integer": lwm2m.KindInteger,
	"unsigned integer": lwm2m.KindUnsigned, "float": lwm2m.KindFloat, "boolean": lwm2m.KindBoolean,
	"opaque": lwm2m.KindOpaque, "time": lwm2m.KindTime, "objlnk": lwm2m.KindObjlnk, "corelnk": lwm2m.KindCorelnk,
}

// letters are the operations that a resource may have.
var letters = map[string]lwm2m.Operations{
	"": 0, "R": lwm2m.OpRead, "W": lwm2m.OpWrite, "RW": lwm2m.OpRead | lwm2m.OpWrite,
	"WR": lwm2m.OpRead | lwm2m.OpWrite, "E": lwm2m.OpExecute, "RE": lwm2m.OpRead | lwm2m.OpExecute,
	"RWE": lwm2m.OpRead | lwm2m.OpWrite | lwm2m.OpExecute,
}

func (e *element) resource() (r registry.Resource, err error) {
	if r.ID, err = identifier(strings.TrimSpace(e.id)); err != nil {
		return r, fmt.Errorf("resource: %w", err)
	}
	var operations, multiple, mandatory, kind string
	err = e.values(map[string]*string{
		"Name": &r.Name, "Operations": &operations, "MultipleInstances": &multiple, "Mandatory": &mandatory,
		"Type": &kind, "RangeEnumeration": &r.Range, "Units": &r.Units,
	}, map[string]int{"RangeEnumeration": maxRange, "Units": maxUnits})
	if err != nil {
		return r, fmt.Errorf("resource %d: %w", r.ID, err)
	}
	var ok, known bool
	r.Kind, ok = kinds[strings.ToLower(kind)]
	r.Operations, known = letters[operations]
	if !ok || !known {
		return r, fmt.Errorf("%w: resource %d: type %q, operations %q", ErrSyntax, r.ID, kind, operations)
	}
	if r.Name == "" {
		return r, fmt.Errorf("%w: resource %d has no name", ErrSyntax, r.ID)
	}
	if r.Multiple, err = one(multiple, "Multiple", "Single"); err != nil {
		return r, fmt.Errorf("resource %d: %w", r.ID, err)
	}
	if r.Mandatory, err = one(mandatory, "Mandatory", "Optional"); err != nil {
		return r, fmt.Errorf("resource %d: %w", r.ID, err)
	}
	return r, nil
}

func identifier(text string) (uint16, error) {
	id, err := strconv.ParseUint(text, 10, 16)
	if err != nil || id == lwm2m.NoID {
		return 0, fmt.Errorf("%w: id %q", ErrSyntax, printable(text))
	}
	return uint16(id), nil
}

// one reports whether text is the first of two words; it must be one of them.
func one(text, first, second string) (bool, error) {
	if text != first && text != second {
		return false, fmt.Errorf("%w: %q is neither %s nor %s", ErrSyntax, text, first, second)
	}
	return text == first, nil
}

func isVersion(text string) bool {
	major, minor, ok := strings.Cut(text, ".")
	const longest = 3
	for _, part := range []string{major, minor} {
		if part == "" || len(part) > longest || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return ok
}

// printable returns the beginning of text from outside, for an error.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), maxName)], ""))
}
