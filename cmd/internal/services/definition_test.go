package services_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"steward/cmd/internal/services"
	"steward/lwm2m"
	"steward/objects/registry"
	"steward/web"
)

// definition returns a document of one object with one resource.
func definition(object, version, resource, operations, kind string) []byte {
	return fmt.Appendf(nil, `<LWM2M><Object><Name>Meter</Name><ObjectID>%s</ObjectID><ObjectVersion>%s</ObjectVersion>`+
		`<MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory><Resources>`+
		`<Item ID="%s"><Name>One</Name>`+
		`<Operations>%s</Operations><MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory>`+
		`<Type>%s</Type></Item></Resources></Object></LWM2M>`, object, version, resource, operations, kind)
}

func TestDefinitions(t *testing.T) {
	w := newWorld(t)
	w.options.Registry = registry.Default().With()
	w.build(t, w.options)
	for _, tt := range []struct {
		name     string
		document []byte
		want     error
	}{
		{"an account with keys that can be read", definition("0", "9.0", "5", "R", "Opaque"), web.ErrConflict},
		{"OSCORE", definition("21", "9.0", "1", "R", "String"), web.ErrConflict},
		{"a package that can be read", definition("5", "9.0", "0", "R", "Opaque"), web.ErrConflict},
		{"another type of a known resource", definition("3303", "9.0", "5700", "R", "String"), web.ErrConflict},
		{"a known version", definition("3", "1.2", "0", "R", "String"), web.ErrConflict},
		{"no definition", []byte("<x/>"), web.ErrInvalid},
		{"a bomb", []byte(`<!DOCTYPE x [<!ENTITY a "b">]><LWM2M>&a;</LWM2M>`), web.ErrInvalid},
		{"too long", []byte(strings.Repeat(" ", 1<<20)), web.ErrTooLarge},
		{"a new version of a known object", definition("3303", "9.0", "5700", "R", "Float"), nil},
		{"a new object", definition("32001", "1.0", "7", "RW", "Integer"), nil},
		{"the same again", definition("32001", "1.0", "7", "RW", "Float"), nil},
	} {
		if _, err := w.Definitions.AddObjectDefinitions(t.Context(), alice, tt.document); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	all, err := w.Definitions.ObjectDefinitions(t.Context())
	if err != nil || len(all) != 2 || all[1].Name != "Meter" || all[1].Resources != 1 {
		t.Errorf("ObjectDefinitions = %+v, %v", all, err)
	}
	later := registry.Default().With() // the program has been started anew
	if err := services.LoadDefinitions(t.Context(), w.db, later); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*registry.Registry{w.options.Registry, later} {
		if got := lwm2m.KindOf(r, lwm2m.NewPath(32001, 0, 7)); got != lwm2m.KindFloat {
			t.Errorf("kind = %v, want float", got)
		}
	}
	if err := w.Definitions.RemoveObjectDefinition(t.Context(), alice, 32001, "1.0"); err != nil {
		t.Error(err)
	}
	err = w.Definitions.RemoveObjectDefinition(t.Context(), alice, 32001, "1.0")
	if _, known := w.options.Registry.Object(32001); known || !errors.Is(err, web.ErrNotFound) {
		t.Errorf("removed twice: known %v, %v", known, err)
	}
	rows, err := w.Activity.ListAudit(t.Context(), web.AuditFilter{Subject: "object 32001 1.0"}, web.Page{Size: 9})
	if err != nil || len(rows.Items) != 3 {
		t.Fatalf("audit rows %+v, %v; want three", rows.Items, err)
	}
	undefined, again, first := rows.Items[0], rows.Items[1], rows.Items[2]
	if first.Before != "" || !strings.Contains(first.After, "bytes, SHA-256 ") || again.Before != first.After ||
		again.After == first.After || undefined.Before != again.After || undefined.After != "" {
		t.Errorf("the audit tells of %+v", rows.Items)
	}
}
