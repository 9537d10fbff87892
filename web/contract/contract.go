// Package contract reads the OpenAPI document of the REST API into what its readers
// need: tests that compare answers with it, the page that shows it, and a rendering
// for generators of clients that know version 3.0 only. It takes the part of OpenAPI
// 3.1 that our document uses, and nothing else.
package contract

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// ErrDocument reports a document that this package does not understand to the last
// member.
var ErrDocument = errors.New("contract: not understood")

// A Document is the whole contract.
type Document struct {
	Version     string // of the API: "v1"
	Description string
	Operations  []Operation // in the order of the document
	Schemas     map[string]*Schema
}

// An Operation is one method of one path.
type Operation struct {
	ID, Method, Path, Summary string
	Role                      string      // "": anybody
	Parameters                []Parameter // those of the path first
	Body                      *Body       // nil: none
	Answers                   []Answer    // by status; that for all others last
}

// A Parameter is in the path, the query or a header.
type Parameter struct {
	Name        string  `yaml:"name"`
	In          string  `yaml:"in"` // path, query, header
	Required    bool    `yaml:"required"`
	Description string  `yaml:"description"`
	Schema      *Schema `yaml:"schema"`
	Ref         string  `yaml:"$ref"`
}

// A Body is what a request sends.
type Body struct {
	Required bool
	Schema   *Schema // of JSON
}

// An Answer is what a request gets.
type Answer struct {
	Status      int // 0: every other
	Description string
	Types       map[string]*Schema // by media type; none: no body. A nil schema is no JSON
}

// A Schema says how a value looks. The zero Schema allows all.
type Schema struct {
	Ref         string             `yaml:"$ref"`
	Type        string             `yaml:"type"`
	Format      string             `yaml:"format"`
	Encoding    string             `yaml:"contentEncoding"` // base64: bytes
	Description string             `yaml:"description"`
	Enum        []string           `yaml:"enum"`
	Minimum     *float64           `yaml:"minimum"`
	Maximum     *float64           `yaml:"maximum"`
	MinLength   *int               `yaml:"minLength"`
	MaxLength   *int               `yaml:"maxLength"`
	Default     any                `yaml:"default"`
	Items       *Schema            `yaml:"items"`
	Properties  map[string]*Schema `yaml:"properties"`
	Required    []string           `yaml:"required"`
	Others      *Schema            `yaml:"additionalProperties"` // nil: no others
}

const schemaPrefix, parameterPrefix = "#/components/schemas/", "#/components/parameters/"

// Name returns what the schema is called that s refers to, "" if it is written out.
func (s *Schema) Name() string { return strings.TrimPrefix(s.Ref, schemaPrefix) }

type content map[string]struct {
	Schema *Schema `yaml:"schema"`
}

type answerDoc struct {
	Ref         string  `yaml:"$ref"`
	Description string  `yaml:"description"`
	Content     content `yaml:"content"`
}

type operationDoc struct {
	ID         string      `yaml:"operationId"`
	Summary    string      `yaml:"summary"`
	Role       string      `yaml:"x-role"`
	Security   []any       `yaml:"security"`
	Parameters []Parameter `yaml:"parameters"`
	Body       *struct {
		Required bool    `yaml:"required"`
		Content  content `yaml:"content"`
	} `yaml:"requestBody"`
	Answers map[string]answerDoc `yaml:"responses"`
}

type pathDoc struct {
	Parameters []Parameter   `yaml:"parameters"`
	Get        *operationDoc `yaml:"get"`
	Put        *operationDoc `yaml:"put"`
	Post       *operationDoc `yaml:"post"`
	Patch      *operationDoc `yaml:"patch"`
	Delete     *operationDoc `yaml:"delete"`
}

type document struct {
	OpenAPI string `yaml:"openapi"`
	Info    struct {
		Title       string         `yaml:"title"`
		Version     string         `yaml:"version"`
		Description string         `yaml:"description"`
		License     map[string]any `yaml:"license"`
	} `yaml:"info"`
	Servers    []any     `yaml:"servers"`
	Security   []any     `yaml:"security"`
	Paths      yaml.Node `yaml:"paths"` // in its order
	Components struct {
		Security   map[string]any       `yaml:"securitySchemes"`
		Parameters map[string]Parameter `yaml:"parameters"`
		Responses  map[string]answerDoc `yaml:"responses"`
		Schemas    map[string]*Schema   `yaml:"schemas"`
	} `yaml:"components"`
}

// Parse reads a document. It returns ErrDocument for members that it does not know,
// and for references that lead nowhere.
func Parse(text []byte) (*Document, error) {
	var in document
	if err := yaml.Load(text, &in, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	d := &Document{Version: in.Info.Version, Description: in.Info.Description, Schemas: in.Components.Schemas}
	for i := 0; i+1 < len(in.Paths.Content); i += 2 {
		var p pathDoc
		if err := in.Paths.Content[i+1].Load(&p, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDocument, err)
		}
		if err := d.addPath(in, in.Paths.Content[i].Value, p); err != nil {
			return nil, err
		}
	}
	for name, s := range d.Schemas {
		if err := d.complete(s); err != nil {
			return nil, fmt.Errorf("%w, in %s", err, name)
		}
	}
	return d, nil
}

func (d *Document) addPath(in document, path string, p pathDoc) error {
	for _, m := range []struct {
		method string
		doc    *operationDoc
	}{
		{http.MethodGet, p.Get},
		{http.MethodPut, p.Put},
		{http.MethodPost, p.Post},
		{http.MethodPatch, p.Patch},
		{http.MethodDelete, p.Delete},
	} {
		if m.doc == nil {
			continue
		}
		o, err := d.operation(in, m.doc, p.Parameters)
		if err != nil {
			return fmt.Errorf("%w, in %s %s", err, m.method, path)
		}
		o.Method, o.Path = m.method, path
		d.Operations = append(d.Operations, o)
	}
	return nil
}

func (d *Document) operation(in document, doc *operationDoc, above []Parameter) (Operation, error) {
	o := Operation{ID: doc.ID, Summary: doc.Summary, Role: strings.TrimPrefix(doc.Role, "none")}
	for _, p := range slices.Concat(above, doc.Parameters) {
		p, err := d.parameter(in, p)
		if err != nil {
			return o, err
		}
		o.Parameters = append(o.Parameters, p)
	}
	if doc.Body != nil {
		o.Body = &Body{Required: doc.Body.Required, Schema: doc.Body.Content["application/json"].Schema}
		if len(doc.Body.Content) != 1 || o.Body.Schema == nil {
			return o, fmt.Errorf("%w: bodies are JSON", ErrDocument)
		}
		if err := d.complete(o.Body.Schema); err != nil {
			return o, err
		}
	}
	return o, d.answers(in, doc, &o)
}

// parameter returns the parameter that p is, or refers to.
func (d *Document) parameter(in document, p Parameter) (Parameter, error) {
	if p.Ref != "" {
		named, ok := in.Components.Parameters[strings.TrimPrefix(p.Ref, parameterPrefix)]
		if !ok {
			return p, fmt.Errorf("%w: no parameter %s", ErrDocument, p.Ref)
		}
		p = named
	}
	if p.Schema == nil || !slices.Contains([]string{"path", "query", "header"}, p.In) {
		return p, fmt.Errorf("%w: parameter %q", ErrDocument, p.Name)
	}
	return p, d.complete(p.Schema)
}

// answer reads how the answer with a status is described.
func (d *Document) answer(in document, status string, a answerDoc) (Answer, error) {
	if a.Ref != "" {
		a = in.Components.Responses[strings.TrimPrefix(a.Ref, "#/components/responses/")]
	}
	out := Answer{Description: a.Description, Types: map[string]*Schema{}}
	if status != "default" {
		if _, err := fmt.Sscanf(status, "%3d", &out.Status); err != nil {
			return out, fmt.Errorf("%w: status %q", ErrDocument, status)
		}
	}
	for kind, c := range a.Content {
		if c.Schema != nil {
			if err := d.complete(c.Schema); err != nil {
				return out, err
			}
		}
		out.Types[kind] = c.Schema
	}
	return out, nil
}

func (d *Document) answers(in document, doc *operationDoc, o *Operation) error {
	for status, a := range doc.Answers {
		out, err := d.answer(in, status, a)
		if err != nil {
			return err
		}
		o.Answers = append(o.Answers, out)
	}
	slices.SortFunc(o.Answers, func(a, b Answer) int { return (a.Status+999)%1000 - (b.Status+999)%1000 })
	return nil
}

// complete checks the references of s and what is below it.
func (d *Document) complete(s *Schema) error {
	if s.Ref != "" {
		if d.Schemas[s.Name()] == nil {
			return fmt.Errorf("%w: no schema %s", ErrDocument, s.Ref)
		}
		return nil
	}
	for _, name := range s.Required {
		if s.Properties[name] == nil {
			return fmt.Errorf("%w: %s is required and not described", ErrDocument, name)
		}
	}
	below := slices.Collect(maps.Values(s.Properties))
	for _, b := range append(below, s.Items, s.Others) {
		if b == nil {
			continue
		}
		if err := d.complete(b); err != nil {
			return err
		}
	}
	return nil
}

// Resolve returns the schema that s refers to, or s.
func (d *Document) Resolve(s *Schema) *Schema {
	if s.Ref != "" {
		return d.Schemas[s.Name()]
	}
	return s
}
