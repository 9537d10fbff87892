package codec_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/codec"
)

// vector is one case of a lwm2m.json file.
type vector struct {
	Name      string          `json:"name"`
	Format    string          `json:"format"`
	Content   *uint16         `json:"content_format"`
	Direction string          `json:"direction"`
	Path      string          `json:"path"`
	Hex       string          `json:"hex"`
	Text      string          `json:"text"`
	Decoded   json.RawMessage `json:"decoded"`
}

// indexes names the files that hold vectors of some kind; ours is the first.
var indexes = []string{
	"lwm2m.json", "INDEX.json", "registries.json", "rfc8613-appendix-c.json", "rfc9529.json",
}

func TestVectorsLwM2M(t *testing.T) {
	if root := os.Getenv("STEWARD_VECTORS"); root != "" {
		runFolder(t, root) // first, so that its cases have their plain names
	}
	runFile(t, "testdata/lwm2m.json")
}

// runFolder runs every lwm2m.json below root. A folder may hold other kinds of
// vectors only, but not none at all.
func runFolder(t *testing.T, root string) {
	t.Helper()
	known, ours := 0, 0
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if slices.Contains(indexes, d.Name()) {
			known++
		}
		if d.Name() == indexes[0] {
			ours++
			runFile(t, name)
		}
		return nil
	})
	switch {
	case err != nil:
		t.Fatal(err)
	case known == 0:
		t.Fatalf("%s holds no index that is known", root)
	case ours == 0:
		t.Run(indexes[0], func(t *testing.T) { t.Skip("none in " + root) })
	}
}

func runFile(t *testing.T, name string) {
	t.Helper()
	cases := readVectors(t, name)
	all := schemaOf(cases...)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) { c.run(t, schema{own: schemaOf(c), rest: all}) })
	}
}

func readVectors(tb testing.TB, name string) []vector {
	tb.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	var cases []vector
	if err := json.Unmarshal(raw, &cases); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	if len(cases) == 0 {
		tb.Fatalf("%s has no case", name)
	}
	return cases
}

func (c vector) run(t *testing.T, s lwm2m.Schema) {
	t.Helper()
	switch c.Format {
	case "link-format":
		c.links(t)
	case "uri-query":
		c.attributes(t)
	case "execute-args":
		c.arguments(t)
	case "request-line":
		c.requestLine(t)
	case "query-param":
		c.profiles(t)
	case "coap":
		c.coap(t)
	case "cbor-map":
		c.cborMap(t)
	default:
		if c.Content == nil {
			t.Fatalf("unknown kind of case %q", c.Format)
		}
		c.values(t, s)
	}
}

func (c vector) body(tb testing.TB) []byte {
	tb.Helper()
	if c.Hex == "" {
		return []byte(c.Text)
	}
	raw, err := hex.DecodeString(c.Hex)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// values runs a case of a format with values, paths or deletions.
func (c vector) values(t *testing.T, s lwm2m.Schema) {
	t.Helper()
	body, format := c.body(t), *c.Content
	_, base := splitPath(t, c.Path)
	if string(c.Decoded) == `"error"` {
		if pack, err := (codec.Options{}).DecodePack(format, base, body, s); err == nil {
			t.Errorf("DecodePack(%d, %s, %x) = %v, want an error", format, base, body, pack.Entries)
		}
		return
	}
	var sets struct {
		Paths   []string `json:"paths"`
		Deletes []string `json:"deletes"`
		Writes  [][]any  `json:"writes"`
	}
	if c.Decoded[0] != '{' {
		c.pack(t, base, s, c.entries(t))
		return
	}
	if err := json.Unmarshal(c.Decoded, &sets); err != nil {
		t.Fatal(err)
	}
	if sets.Paths != nil {
		c.paths(t, sets.Paths)
		return
	}
	want := lwm2m.Pack{}
	c.expect(t, &want, sets.Writes)
	for _, p := range sets.Deletes {
		prefix, path := splitPath(t, p)
		want.Add(prefix, lwm2m.Entry{Path: path})
	}
	c.pack(t, base, s, want)
}

// pack compares both directions.
func (c vector) pack(t *testing.T, base lwm2m.Path, s lwm2m.Schema, want lwm2m.Pack) {
	t.Helper()
	body, format := c.body(t), *c.Content
	got, err := codec.Options{}.DecodePack(format, base, body, s)
	if err != nil {
		t.Fatalf("DecodePack(%d, %s, %q) = %v", format, base, body, err)
	}
	if !equal(got, want) {
		t.Fatalf("DecodePack(%d, %s, %q)\n got %v %q\nwant %v %q",
			format, base, body, got.Entries, got.Prefixes, want.Entries, want.Prefixes)
	}
	if c.Direction != "both" || format == codec.JSON {
		return
	}
	again, err := codec.EncodePack(format, base, got, s)
	if err != nil {
		t.Fatalf("EncodePack(%d, %s, %v) = %v", format, base, got.Entries, err)
	}
	if (format == codec.TLV || format == codec.Text) && !bytes.Equal(again, body) {
		t.Errorf("EncodePack(%d, %s, %v) = %x, want %x", format, base, got.Entries, again, body)
	}
	back, err := codec.Options{}.DecodePack(format, base, again, s)
	if err != nil || !equal(sorted(back), sorted(want)) {
		t.Errorf("DecodePack(%d, %s, %q) = %v, %v, want %v", format, base, again, back.Entries, err, want.Entries)
	}
}

func (c vector) paths(t *testing.T, names []string) {
	t.Helper()
	var want []lwm2m.Path
	for _, n := range names {
		_, p := splitPath(t, n)
		want = append(want, p)
	}
	got, err := codec.DecodePaths(*c.Content, c.body(t))
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("DecodePaths(%d, %q) = %v, %v, want %v", *c.Content, c.body(t), got, err, want)
	}
	again, err := codec.EncodePaths(*c.Content, got)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := codec.DecodePaths(*c.Content, again); err != nil || !slices.Equal(back, want) {
		t.Errorf("DecodePaths(%d, %q) = %v, %v, want %v", *c.Content, again, back, err, want)
	}
}

// entries returns what the case expects.
func (c vector) entries(tb testing.TB) lwm2m.Pack {
	tb.Helper()
	var rows [][]any
	decoder := json.NewDecoder(bytes.NewReader(c.Decoded))
	decoder.UseNumber()
	if err := decoder.Decode(&rows); err != nil {
		tb.Fatal(err)
	}
	var want lwm2m.Pack
	c.expect(tb, &want, rows)
	return want
}

// expect appends rows of [path, kind, value, time].
func (c vector) expect(tb testing.TB, want *lwm2m.Pack, rows [][]any) {
	tb.Helper()
	for _, r := range rows {
		prefix, path := splitPath(tb, r[0].(string))
		e := lwm2m.Entry{Path: path, Value: valueOf(tb, r[1].(string), r[2])}
		if len(r) == 4 {
			at, err := r[3].(json.Number).Int64()
			if err != nil {
				tb.Fatal(err)
			}
			e.Time = time.Unix(at, 0)
		}
		want.Add(prefix, e)
	}
}

func valueOf(tb testing.TB, kind string, v any) lwm2m.Value {
	tb.Helper()
	k, ok := lwm2m.ParseKind(kind)
	if !ok {
		tb.Fatalf("unknown kind %q", kind)
	}
	switch x := v.(type) {
	case bool:
		return lwm2m.Boolean(x)
	case json.Number:
		out, err := lwm2m.ParseValue(k, x.String())
		if err != nil {
			tb.Fatal(err)
		}
		return out
	case string:
		if k == lwm2m.KindOpaque {
			raw, err := hex.DecodeString(x)
			if err != nil {
				tb.Fatal(err)
			}
			return lwm2m.Opaque(raw)
		}
		out, err := lwm2m.ParseValue(k, x)
		if err != nil {
			tb.Fatal(err)
		}
		return out
	}
	tb.Fatalf("value %v", v)
	return lwm2m.Value{}
}

// splitPath separates what precedes the first number, "/dp" being the root.
func splitPath(tb testing.TB, text string) (string, lwm2m.Path) {
	tb.Helper()
	segments := strings.FieldsFunc(text, func(r rune) bool { return r == '/' })
	n := 0
	for n < len(segments) && (segments[n][0] < '0' || segments[n][0] > '9') {
		n++
	}
	var p lwm2m.Path
	for _, s := range segments[n:] {
		if s == "65535" { // an instance yet to be chosen, which ParsePath refuses
			p = p.Child(lwm2m.NoID)
			continue
		}
		one, err := lwm2m.ParsePath("/" + s)
		if err != nil {
			tb.Fatal(err)
		}
		p = p.Child(one.Object())
	}
	return strings.Join(segments[:n], "/"), p
}
