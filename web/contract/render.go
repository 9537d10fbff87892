package contract

import (
	"encoding/json"
	"strconv"
	"strings"
)

// JSON30 returns the document as OpenAPI 3.0.3 in JSON, for generators that do not know
// 3.1. It says the same: what 3.1 writes as an encoding is a format there.
func (d *Document) JSON30() ([]byte, error) {
	paths := map[string]map[string]any{}
	for _, o := range d.Operations {
		if paths[o.Path] == nil {
			paths[o.Path] = map[string]any{}
		}
		paths[o.Path][strings.ToLower(o.Method)] = d.operation30(o)
	}
	schemas := map[string]any{}
	for name, s := range d.Schemas {
		schemas[name] = s.render30()
	}
	return json.Marshal(map[string]any{
		"openapi": "3.0.3",
		"info":    map[string]any{"title": "Steward", "version": d.Version, "description": d.Description},
		"servers": []any{map[string]any{"url": "/"}},
		"paths":   paths,
		"components": map[string]any{
			"schemas":         schemas,
			"securitySchemes": map[string]any{"bearer": map[string]any{"type": "http", "scheme": "bearer"}},
		},
		"security": []any{map[string]any{"bearer": []string{}}},
	})
}

func (d *Document) operation30(o Operation) map[string]any {
	out := map[string]any{"operationId": o.ID, "summary": o.Summary, "x-role": o.Role}
	if o.Role == "" {
		out["security"] = []any{}
	}
	parameters := make([]any, 0, len(o.Parameters))
	for _, p := range o.Parameters {
		parameters = append(parameters, map[string]any{
			"name": p.Name, "in": p.In, "required": p.Required, "description": p.Description, "schema": p.Schema.render30(),
		})
	}
	out["parameters"] = parameters
	if o.Body != nil {
		out["requestBody"] = map[string]any{
			"required": o.Body.Required,
			"content":  map[string]any{"application/json": map[string]any{"schema": o.Body.Schema.render30()}},
		}
	}
	answers := map[string]any{}
	for _, a := range o.Answers {
		status := "default"
		if a.Status != 0 {
			status = strconv.Itoa(a.Status)
		}
		answer := map[string]any{"description": a.Description}
		if len(a.Types) > 0 {
			content := map[string]any{}
			for kind, s := range a.Types {
				content[kind] = map[string]any{}
				if s != nil {
					content[kind] = map[string]any{"schema": s.render30()}
				}
			}
			answer["content"] = content
		}
		answers[status] = answer
	}
	out["responses"] = answers
	return out
}

// render30 returns a schema as 3.0 writes it.
func (s *Schema) render30() map[string]any {
	if s.Ref != "" {
		return map[string]any{"$ref": s.Ref}
	}
	out := map[string]any{}
	set := func(name string, value any, there bool) {
		if there {
			out[name] = value
		}
	}
	format := s.Format
	if s.Encoding == "base64" {
		format = "byte"
	}
	set("type", s.Type, s.Type != "")
	set("format", format, format != "")
	set("description", s.Description, s.Description != "")
	set("enum", s.Enum, len(s.Enum) > 0)
	set("minimum", s.Minimum, s.Minimum != nil)
	set("maximum", s.Maximum, s.Maximum != nil)
	set("minLength", s.MinLength, s.MinLength != nil)
	set("maxLength", s.MaxLength, s.MaxLength != nil)
	set("default", s.Default, s.Default != nil)
	set("required", s.Required, len(s.Required) > 0)
	if s.Items != nil {
		out["items"] = s.Items.render30()
	}
	if s.Others != nil {
		out["additionalProperties"] = s.Others.render30()
	}
	if len(s.Properties) > 0 {
		properties := map[string]any{}
		for name, p := range s.Properties {
			properties[name] = p.render30()
		}
		out["properties"] = properties
	}
	return out
}
