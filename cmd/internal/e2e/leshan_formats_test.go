package e2e_test

import (
	"encoding/json"
	"testing"
)

// leshanFormats runs one device for each format, which has no other, and reads,
// writes and observes every kind of value by it. The server learns the format from
// the registration ("ct").
func leshanFormats(t *testing.T, kit leshanKit) {
	t.Helper()
	p, uri := servePlain(t)
	for _, c := range []struct {
		name, formats string
		leaf          bool // holds one value
		composite     bool // holds values of several objects
	}{
		{name: "text", formats: "0,42", leaf: true},
		{name: "cbor", formats: "60", leaf: true},
		{name: "json", formats: "0,42,11543"}, // to read; nobody writes it
		{name: "tlv", formats: "11542"},
		{name: "opaque", formats: "42,112"},
		{name: "senml-json", formats: "110", composite: true},
		{name: "senml-cbor", formats: "112", composite: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			name := "leshan-" + c.name
			p.post(t, "/api/v1/devices", map[string]any{"endpoint": name, "nosec": true})
			l := kit.start(t, name, "uri="+uri, "formats="+c.formats)
			l.hear(t, "registered")
			for _, k := range everyKind {
				path := "/3442/0/" + k.single
				p.must(t, name, map[string]any{"op": "write", "path": path, "value": json.RawMessage(k.value)})
				p.reads(t, name, path, k.value)
			}
			p.must(t, name, map[string]any{"op": "observe", "path": "/3/0/9"})
			l.say(t, "level 77")
			p.hears(t, name, "77")
			if c.leaf {
				return
			}
			whole := p.must(t, name, map[string]any{"op": "read", "path": "/3442"})
			for _, k := range everyKind {
				if got := whole.values["/3442/0/"+k.single]; got != k.value {
					t.Errorf("/3442/0/%s = %s in the object, want %s", k.single, got, k.value)
				}
				if whole.values["/3442/0/"+k.multiple] == "" {
					t.Errorf("/3442/0/%s is not in the object", k.multiple)
				}
			}
			if c.composite {
				leshanComposite(t, p, l)
			}
		})
	}
}

// leshanComposite reads, writes and observes nodes of several objects at once.
func leshanComposite(t *testing.T, p *provider, l *leshan) {
	t.Helper()
	paths := []string{"/3/0/0", "/3442/0/120", "/3442/0/1110"}
	read := p.must(t, l.name, map[string]any{"op": "read_composite", "paths": paths})
	if read.values["/3/0/0"] != `"Leshan Ltd"` || read.values["/3442/0/120"] == "" || read.values["/3442/0/1110/0"] == "" {
		t.Errorf("composite read = %v", read.values)
	}
	p.must(t, l.name, map[string]any{"op": "write_composite", "values": []map[string]any{
		{"path": "/3/0/14", "value": "+09"}, {"path": "/3442/0/120", "value": 99},
	}})
	p.reads(t, l.name, "/3/0/14", `"+09"`)
	p.reads(t, l.name, "/3442/0/120", "99")

	watched := []string{"/3/0/9", "/3/0/14"}
	p.must(t, l.name, map[string]any{"op": "cancel_observe", "path": "/3/0/9"})
	p.must(t, l.name, map[string]any{"op": "observe_composite", "paths": watched})
	l.say(t, "level 78")
	p.hears(t, l.name, "78")
	p.must(t, l.name, map[string]any{"op": "cancel_composite", "paths": watched})
}
