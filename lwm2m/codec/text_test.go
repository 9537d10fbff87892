package codec_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/internal/cbor"
	"steward/lwm2m/linkformat"
)

// want decodes what the case expects into v.
func (c vector) want(t *testing.T, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(c.Decoded))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
}

// pairs renders names and values as the vectors do, null for no value.
func pairs(n int, at func(int) (string, any)) [][]any {
	out := make([][]any, 0, n)
	for i := range n {
		name, value := at(i)
		out = append(out, []any{name, value})
	}
	return out
}

func optional(has bool, v any) any {
	if has {
		return v
	}
	return nil
}

func (c vector) links(t *testing.T) {
	t.Helper()
	var want struct {
		Links [][]any `json:"links"`
	}
	c.want(t, &want)
	got, err := linkformat.Parse(c.Text)
	if err != nil {
		t.Fatalf("Parse(%q) = %v", c.Text, err)
	}
	rendered := pairs(len(got), func(i int) (string, any) {
		attributes := pairs(len(got[i].Attributes), func(k int) (string, any) {
			a := got[i].Attributes[k]
			return a.Name, optional(a.HasValue, a.Value)
		})
		out := make([]any, len(attributes))
		for k, a := range attributes {
			out[k] = a
		}
		return got[i].Target, out
	})
	if !reflect.DeepEqual(rendered, want.Links) {
		t.Errorf("Parse(%q) = %v, want %v", c.Text, rendered, want.Links)
	}
	again := linkformat.Format(got)
	if c.Direction == "both" && again != c.Text {
		t.Errorf("Format(%v) = %q, want %q", got, again, c.Text)
	}
	if back, err := linkformat.Parse(again); err != nil || !reflect.DeepEqual(back, got) {
		t.Errorf("Parse(%q) = %v, %v, want %v", again, back, err, got)
	}
}

func (c vector) attributes(t *testing.T) {
	t.Helper()
	var want struct {
		Attributes [][]any `json:"attributes"`
	}
	c.want(t, &want)
	got, err := lwm2m.ParseAttributes(strings.Split(c.Text, "&"))
	if err != nil {
		t.Fatalf("ParseAttributes(%q) = %v", c.Text, err)
	}
	rendered := pairs(len(got), func(i int) (string, any) {
		text := strconv.FormatFloat(got[i].Value, 'f', -1, 64)
		return got[i].Name, optional(!got[i].Unset, json.Number(text))
	})
	if !reflect.DeepEqual(rendered, want.Attributes) {
		t.Errorf("ParseAttributes(%q) = %v, want %v", c.Text, rendered, want.Attributes)
	}
	if err := got.Check(); err != nil {
		t.Errorf("Check(%v) = %v", got, err)
	}
	if again := strings.Join(got.Query(), "&"); again != c.Text {
		t.Errorf("Query(%v) = %q, want %q", got, again, c.Text)
	}
}

func (c vector) arguments(t *testing.T) {
	t.Helper()
	var want struct {
		Args [][]any `json:"args"`
	}
	c.want(t, &want)
	got, err := lwm2m.ParseArguments(c.Text)
	if err != nil {
		t.Fatalf("ParseArguments(%q) = %v", c.Text, err)
	}
	rendered := make([][]any, 0, len(got))
	for _, a := range got {
		rendered = append(rendered, []any{json.Number(strconv.Itoa(int(a.Digit))), optional(a.HasValue, a.Value)})
	}
	if !reflect.DeepEqual(rendered, want.Args) {
		t.Errorf("ParseArguments(%q) = %v, want %v", c.Text, rendered, want.Args)
	}
	if again := got.String(); again != c.Text {
		t.Errorf("%v.String() = %q, want %q", got, again, c.Text)
	}
}

func (c vector) requestLine(t *testing.T) {
	t.Helper()
	var want struct {
		Method string   `json:"method"`
		Path   []string `json:"path"`
		Query  [][]any  `json:"query"`
	}
	c.want(t, &want)
	method, target, _ := strings.Cut(c.Text, " ")
	path, query, _ := strings.Cut(target, "?")
	segments := strings.Split(strings.Trim(path, "/"), "/")
	if method != want.Method || !slices.Equal(segments, want.Path) {
		t.Errorf("%s %v, want %s %v", method, segments, want.Method, want.Path)
	}
	var options []string
	if query != "" {
		options = strings.Split(query, "&")
	}
	got, err := lwm2m.ParseQuery(options)
	if err != nil {
		t.Fatalf("ParseQuery(%q) = %v", options, err)
	}
	rendered := pairs(len(got), func(i int) (string, any) {
		if again := got[i].String(); again != options[i] {
			t.Errorf("%v.String() = %q, want %q", got[i], again, options[i])
		}
		return got[i].Name, optional(got[i].HasValue, got[i].Value)
	})
	if !reflect.DeepEqual(rendered, want.Query) {
		t.Errorf("ParseQuery(%q) = %v, want %v", options, rendered, want.Query)
	}
}

func (c vector) profiles(t *testing.T) {
	t.Helper()
	var want struct {
		PID   []string `json:"pid"`
		Suite int      `json:"suite"`
		Hash  string   `json:"hash"`
	}
	c.want(t, &want)
	query, err := lwm2m.ParseQuery([]string{c.Text})
	if err != nil {
		t.Fatal(err)
	}
	got, err := lwm2m.ParseProfiles(query[0].Value)
	if err != nil || len(got) != len(want.PID) || got[0].Suite != want.Suite || got[0].Hash != want.Hash {
		t.Errorf("ParseProfiles(%q) = %v, %v, want %d:%s", query[0].Value, got, err, want.Suite, want.Hash)
	}
}

// coap reads the message by hand: the exchange layer is no business of codecs.
func (c vector) coap(t *testing.T) {
	t.Helper()
	var want struct {
		Type    string   `json:"type"`
		Code    string   `json:"code"`
		MID     int      `json:"mid"`
		Token   string   `json:"token"`
		Path    []string `json:"uri_path"`
		Payload string   `json:"payload"`
	}
	c.want(t, &want)
	b := c.body(t)
	tkl := int(b[0] & 15)
	kind := []string{"CON", "NON", "ACK", "RST"}[b[0]>>4&3]
	code := fmt.Sprintf("%d.%02d", b[1]>>5, b[1]&31)
	mid := int(binary.BigEndian.Uint16(b[2:]))
	token, rest := hex.EncodeToString(b[4:4+tkl]), b[4+tkl:]
	if kind != want.Type || code != want.Code || mid != want.MID || token != want.Token {
		t.Errorf("%x: %s %s %d %s, want %+v", b, kind, code, mid, token, want)
	}
	var path []string
	for number := 0; len(rest) > 0 && rest[0] != 0xff; { // all deltas and lengths are small
		number += int(rest[0] >> 4)
		n := int(rest[0] & 15)
		if number == 11 {
			path = append(path, string(rest[1:1+n]))
		}
		rest = rest[1+n:]
	}
	if !slices.Equal(path, want.Path) || hex.EncodeToString(rest) != want.Payload {
		t.Errorf("%x: path %v, payload %x, want %+v", b, path, rest, want)
	}
	if _, err := lwm2m.ParseSegments(path); err != nil {
		t.Errorf("ParseSegments(%v) = %v", path, err)
	}
}

func (c vector) cborMap(t *testing.T) {
	t.Helper()
	want := map[string]json.Number{}
	c.want(t, &want)
	in := cbor.NewReader(c.body(t))
	h, err := in.Head()
	if err != nil || h.Major != cbor.MajorMap {
		t.Fatalf("Head() = %v, %v", h, err)
	}
	got := map[string]json.Number{}
	for n := uint64(0); in.Next(h, n); n++ {
		key, err := in.Value()
		if err != nil {
			t.Fatal(err)
		}
		value, err := in.Value()
		if err != nil {
			t.Fatal(err)
		}
		got[key.Plain()] = json.Number(value.Plain())
	}
	if in.Left() != 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("map = %v, want %v", got, want)
	}
}
