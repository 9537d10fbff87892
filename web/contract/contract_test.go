package contract_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"steward/web/contract"
)

func own(t *testing.T) *contract.Document {
	t.Helper()
	text, err := os.ReadFile("../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d, err := contract.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOwn(t *testing.T) {
	d := own(t)
	if len(d.Operations) < 100 || d.Version != "v1" || len(d.Schemas) < 100 {
		t.Errorf("%d operations, %d schemas", len(d.Operations), len(d.Schemas))
	}
}

// TestDocumentsNotUnderstood: a member that is not known must not be overlooked.
func TestDocumentsNotUnderstood(t *testing.T) {
	for name, text := range map[string]string{
		"no YAML":                  "a: [",
		"unknown member":           "openapi: 3.1.0\nsurprise: 1\n",
		"unknown member of a path": "paths: {/a: {get: {surprise: 1}}}",
		"a member twice":           "info: {title: a, title: b}",
		"no such schema": "paths: {/a: {get: {responses: {'200': {content: " +
			"{application/json: {schema: {$ref: x}}}}}}}}",
		"no such parameter":       "paths: {/a: {get: {parameters: [{$ref: x}]}}}",
		"parameter nowhere":       "paths: {/a: {get: {parameters: [{name: x, in: cookie, schema: {}}]}}}",
		"body that is no JSON":    "paths: {/a: {put: {requestBody: {content: {text/plain: {}}}}}}",
		"status":                  "paths: {/a: {get: {responses: {ok: {}}}}}",
		"required, not described": "components: {schemas: {A: {type: object, required: [x]}}}",
	} {
		if _, err := contract.Parse([]byte(text)); !errors.Is(err, contract.ErrDocument) {
			t.Errorf("Parse of %s = %v, want ErrDocument", name, err)
		}
	}
}

func TestCheck(t *testing.T) {
	d, err := contract.Parse([]byte(`components:
  schemas:
    A:
      type: object
      properties:
        text: {type: string, minLength: 2, maxLength: 3}
        word: {type: string, enum: [a, b]}
        at: {type: string, format: date-time}
        bytes: {type: string, contentEncoding: base64}
        count: {type: integer, minimum: 1, maximum: 3}
        size: {type: number}
        flag: {type: boolean}
        all: {type: array, items: {$ref: "#/components/schemas/A"}}
        any: {}
        map: {type: object, additionalProperties: {type: integer}}
        free: {type: object}
      required: [text]
`))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`{"text":"ab"}`: "",
		`{"text":"ab","word":"a","at":"2026-03-01T12:00:00Z","bytes":"AA==","count":2,"size":1.5,"flag":true,` +
			`"all":[{"text":"äöü"}],"any":null,"map":{"x":1},"free":{"x":[]}}`: "",
		`7`:                                " is integer, not object",
		`{}`:                               " lacks text",
		`{"text":"a"}`:                     "text has 1 characters",
		`{"text":"abcd"}`:                  "text has 4 characters",
		`{"text":null}`:                    "text is null, not string",
		`{"text":"ab","word":"c"}`:         `word is "c", none of a, b`,
		`{"text":"ab","at":"now"}`:         `at is "now", no time`,
		`{"text":"ab","bytes":"?"}`:        "bytes is no base64",
		`{"text":"ab","count":4}`:          "count is 4, out of bounds",
		`{"text":"ab","count":0}`:          "count is 0, out of bounds",
		`{"text":"ab","count":1.5}`:        "count is number, not integer",
		`{"text":"ab","flag":"true"}`:      "flag is string, not boolean",
		`{"text":"ab","all":[{}]}`:         "all[0] lacks text",
		`{"text":"ab","map":{"x":"y"}}`:    "map.x is string, not integer",
		`{"text":"ab","surprise":1}`:       " has an undeclared surprise",
		`{"text":"ab","all":{"text":"a"}}`: "all is object, not array",
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		got := d.Check(&contract.Schema{Ref: "#/components/schemas/A"}, v)
		if strings.Join(got, "; ") != want {
			t.Errorf("Check(%s) = %q, want %q", text, got, want)
		}
	}
}

func TestAnswer(t *testing.T) {
	for _, o := range own(t).Operations {
		if o.ID != "operate" {
			continue
		}
		for status, want := range map[int]int{200: 200, 202: 202, 404: 0} {
			if a, ok := o.Answer(status); !ok || a.Status != want {
				t.Errorf("Answer(%d) = %d, %v", status, a.Status, ok)
			}
		}
	}
	if _, ok := (contract.Operation{}).Answer(200); ok {
		t.Error("an operation without answers has one")
	}
}
