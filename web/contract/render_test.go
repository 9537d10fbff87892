package contract_test

import (
	"bytes"
	"reflect"
	"testing"

	"steward/web/contract"
)

// TestJSON30 reads the rendering as a document again, which JSON is as well as YAML: it
// says the same but for how bytes are written.
func TestJSON30(t *testing.T) {
	d := own(t)
	text, err := d.JSON30()
	if err != nil {
		t.Fatal(err)
	}
	again, err := contract.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	second, err := again.JSON30()
	if err != nil || !bytes.Equal(text, second) {
		t.Errorf("rendered again, the rendering is another: %v", err)
	}
	if len(again.Operations) != len(d.Operations) || len(again.Schemas) != len(d.Schemas) {
		t.Fatalf("%d operations, %d schemas", len(again.Operations), len(again.Schemas))
	}
	byID := map[string]contract.Operation{}
	for _, o := range again.Operations {
		byID[o.ID] = o
	}
	for _, o := range d.Operations {
		got := byID[o.ID]
		if got.Method != o.Method || got.Path != o.Path || got.Role != o.Role || got.Summary != o.Summary ||
			len(got.Parameters) != len(o.Parameters) || len(got.Answers) != len(o.Answers) ||
			(got.Body == nil) != (o.Body == nil) {
			t.Errorf("%s is %+v, was %+v", o.ID, got, o)
		}
	}
	for name, s := range d.Schemas {
		plain(s)
		if got := again.Schemas[name]; !reflect.DeepEqual(got, s) {
			t.Errorf("schema %s is %+v, was %+v", name, got, s)
		}
	}
}

// plain writes a schema as 3.0 does.
func plain(s *contract.Schema) {
	if s.Encoding == "base64" {
		s.Encoding, s.Format = "", "byte"
	}
	for _, p := range s.Properties {
		plain(p)
	}
	for _, p := range []*contract.Schema{s.Items, s.Others} {
		if p != nil {
			plain(p)
		}
	}
}
