package author_test

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
)

const description = `{
	"vendor": "vendor.example", "class": "sensor", "device": "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe",
	"sequence": 7, "id": "root.suit", "version": "1.2-rc.3", "use_before": "2030-01-01T00:00:00Z",
	"reference_uri": "https://h/m/7", "sever": ["install"],
	"images": [
		{"component": "fw", "boot": true, "slots": [
			{"number": 0, "file": "a.bin", "uri": "coap://h/a"}, {"number": 1, "file": "b.bin", "integrated": true}]},
		{"component": "cfg", "staging": "staging", "encrypt_with": "A128CTR", "encrypt_to": ["group"],
			"slots": [{"file": "cfg.bin", "uri": "coap://h/cfg"}]}
	],
	"dependencies": [{"component": "dep/modem.suit", "file": "modem.suit", "prefix": "far"}],
	"text": {"en": {"update": "fixes", "components": {"fw": {"version": "1.2 RC 3"}}}}
}`

// source knows one key and the files that description names.
func source(t *testing.T, w *workshop) author.Source {
	t.Helper()
	modem, _ := build(t, plan(served("modem", "modem image")), w.operator)
	return author.Source{
		File: func(name string) ([]byte, error) {
			switch name {
			case "modem.suit":
				return modem, nil
			case "none":
				return nil, os.ErrNotExist
			}
			return []byte("content of " + name), nil
		},
		Key: func(name string) (*cose.RecipientKey, error) {
			if name != "group" {
				return nil, os.ErrNotExist
			}
			return w.toGroup, nil
		},
	}
}

func TestParsePlan(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	p, err := author.ParsePlan([]byte(description), source(t, w))
	if err != nil {
		t.Fatalf("ParsePlan: %v", err)
	}
	raw, payloads := build(t, p, w.author)
	e, err := suit.Decode(raw, suit.Limits{})
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	m, err := e.Manifest()
	if err != nil {
		t.Fatalf("Manifest: %v", err)
	}
	if got, want := fmt.Sprint(m.Components), "[fw cfg dep/modem.suit staging]"; got != want {
		t.Errorf("components = %s, want %s", got, want)
	}
	if m.Version.String() != "1.2-rc.3" || m.ID != suit.ComponentPath("root.suit") || m.ReferenceURI != "https://h/m/7" ||
		m.Dependencies[0].Prefix != suit.ComponentPath("far") || len(e.Severable) != 2 || len(e.Integrated) != 2 {
		t.Errorf("manifest = %+v", m)
	}
	if len(payloads) != 2 || string(payloads["coap://h/a"]) != "content of a.bin" || len(payloads["coap://h/cfg"]) == 0 {
		t.Errorf("payloads = %q", payloads)
	}
	vendor := author.VendorID("vendor.example")
	if p.Vendor != vendor || p.Class != author.ClassID(vendor, "sensor") || p.UseBefore != 1893456000 {
		t.Errorf("plan = %+v", p)
	}
}

func TestParsePlanRefuses(t *testing.T) {
	t.Parallel()
	s := source(t, newWorkshop(t))
	tests := []struct {
		name, from, to string
		want           error
	}{
		{"not JSON", "{", "", author.ErrOptions},
		{"unknown member", `"sequence"`, `"sequenz"`, author.ErrOptions},
		{"two of them", "\n}", "\n} {}", author.ErrOptions},
		{"no vendor", `"vendor.example"`, `""`, author.ErrOptions},
		{"malformed device", "fa6b4a53-", "", author.ErrOptions},
		{"malformed version", "1.2-rc.3", "1.2-gamma", author.ErrOptions},
		{"before 1970", "2030", "1930", author.ErrOptions},
		{"validate severed", `["install"]`, `["validate"]`, author.ErrOptions},
		{"unknown algorithm", "A128CTR", "A128CBC", author.ErrOptions},
		{"unknown key", `["group"]`, `["nobody"]`, os.ErrNotExist},
		{"no image", "a.bin", "none", os.ErrNotExist},
		{"no dependency", `"modem.suit"`, `"none"`, os.ErrNotExist},
		{"unknown text", `{"version": "1.2 RC 3"}`, `{"color": "red"}`, author.ErrOptions},
	}
	for _, test := range tests {
		raw := strings.Replace(description, test.from, test.to, 1)
		if _, err := author.ParsePlan([]byte(raw), s); !errors.Is(err, test.want) {
			t.Errorf("%s: ParsePlan = %v, want %v", test.name, err, test.want)
		}
	}
}

const yamlDescription = `# the same in YAML
vendor: vendor.example
class: sensor
device: fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe
sequence: 7
id: root.suit
version: 1.2-rc.3
use_before: 2030-01-01T00:00:00Z
reference_uri: https://h/m/7
sever: [install]
images:
  - component: fw
    boot: true
    slots:
      - {number: 0, file: a.bin, uri: "coap://h/a"}
      - {number: 1, file: b.bin, integrated: true}
  - component: cfg
    staging: staging
    encrypt_with: A128CTR
    encrypt_to: [group]
    slots: [{file: cfg.bin, uri: "coap://h/cfg"}]
dependencies:
  - {component: dep/modem.suit, file: modem.suit, prefix: far}
text:
  en: {update: fixes, components: {fw: {version: 1.2 RC 3}}}
`

// TestParseYAML reads the same plan from both forms.
func TestParseYAML(t *testing.T) {
	t.Parallel()
	s := source(t, newWorkshop(t))
	want, err := author.ParsePlan([]byte(description), s)
	if err != nil {
		t.Fatalf("ParsePlan: %v", err)
	}
	got, err := author.ParsePlan([]byte(yamlDescription), s)
	if err != nil {
		t.Fatalf("ParsePlan: %v", err)
	}
	for i := range got.Dependencies { // signed anew each time
		want.Dependencies[i].Envelope = got.Dependencies[i].Envelope
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("ParsePlan of YAML = %+v\nwant %+v", got, want)
	}
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for name, raw := range map[string]string{
		"unknown member": "vendor: a\nclass: b\ncolour: red\n",
		"member twice":   "vendor: a\nvendor: a\n",
		"two documents":  yamlDescription + "---\n" + yamlDescription,
		"alias":          "vendor: &v a\nclass: *v\n",
		"anchor":         "vendor: &v a\n",
		"merge":          "vendor: a\n<<: {class: b}\n",
		"wrong type":     "sequence: many\n",
		"nested":         "images: " + deep,
		"no description": "",
		"a list":         "- vendor",
		"not YAML":       "a: b: c",
	} {
		if _, err := author.ParsePlan([]byte(raw), s); !errors.Is(err, author.ErrOptions) {
			t.Errorf("%s: ParsePlan = %v, want %v", name, err, author.ErrOptions)
		}
	}
}

// TestPlanExtras reads what the network and the fetching need.
func TestPlanExtras(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	ski := strings.Repeat("ab", 32)
	raw := strings.Replace(description, `"sever"`, `"mud": {"url": "https://mud.example/7", "ski": "`+ski+`"}, "sever"`, 1)
	raw = strings.Replace(raw, `"uri": "coap://h/cfg"`, `"uri": "coap://h/cfg", "fetch_arguments": "a10102"`, 1)
	p, err := author.ParsePlan([]byte(raw), source(t, w))
	if err != nil {
		t.Fatalf("ParsePlan: %v", err)
	}
	envelope, _ := build(t, p, w.author)
	e, err := suit.Decode(envelope, suit.Limits{})
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	m, err := e.Manifest()
	if err != nil || m.MUD == nil || m.MUD.URL != "https://mud.example/7" || m.MUD.SKI.Value[31] != 0xab {
		t.Errorf("Manifest = %+v, %v", m, err)
	}
	for _, want := range []string{`network use: "https://mud.example/7"`, "fetch-arguments: h'a10102'"} {
		if text := e.Inspect(); !strings.Contains(text, want) {
			t.Errorf("Inspect lacks %q:\n%s", want, text)
		}
	}
	for name, change := range map[string][2]string{
		"thumbprint": {ski, "xy"}, "short thumbprint": {ski, "ab"}, "no https": {"https://mud", "http://mud"},
		"arguments": {"a10102", "a101zz"},
	} {
		p, err := author.ParsePlan([]byte(strings.Replace(raw, change[0], change[1], 1)), source(t, w))
		if err == nil {
			_, err = p.Build()
		}
		if !errors.Is(err, author.ErrOptions) {
			t.Errorf("%s: %v, want %v", name, err, author.ErrOptions)
		}
	}
}

// FuzzPlan reads arbitrary descriptions: what can be built can be decoded.
func FuzzPlan(f *testing.F) {
	f.Add([]byte(description))
	f.Add([]byte(yamlDescription))
	f.Fuzz(func(t *testing.T, raw []byte) {
		file := func(name string) ([]byte, error) { return []byte(name), nil }
		key := func(string) (*cose.RecipientKey, error) { return cose.NewSharedKey(make([]byte, 16), nil) }
		p, err := author.ParsePlan(raw, author.Source{File: file, Key: key})
		if err != nil {
			return
		}
		b, err := p.Build()
		if err != nil {
			return
		}
		e, err := suit.Decode(b.Envelope.Encode(), suit.Limits{})
		if err != nil {
			t.Fatalf("Decode: %v", err)
		}
		if _, err := e.Manifest(); err != nil {
			t.Errorf("Manifest: %v", err)
		}
	})
}
