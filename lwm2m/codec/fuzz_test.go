package codec_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/codec"
	"steward/lwm2m/senml"
)

// total gives every resource a kind, so that every value keeps its type in
// every format.
type total struct{}

func (total) Resource(_, resource uint16) (lwm2m.ResourceInfo, bool) {
	k := lwm2m.KindString + lwm2m.Kind(resource%9)
	return lwm2m.ResourceInfo{Kind: k}, true
}

// bases are the paths that bodies are read at; the fuzzer picks one.
var bases = []lwm2m.Path{
	lwm2m.NewPath(3, 0),
	{},
	lwm2m.NewPath(3), lwm2m.NewPath(3, 0, 6), lwm2m.NewPath(3, 0, 6, 1), lwm2m.NewPath(1),
	lwm2m.NewPath(3, 0, 1), lwm2m.NewPath(3, 0, 2), lwm2m.NewPath(3, 0, 3), lwm2m.NewPath(3, 0, 4), lwm2m.NewPath(3, 0, 5),
	lwm2m.NewPath(3, 0, 7), lwm2m.NewPath(3, 0, 8),
}

// fuzz asserts that whatever decodes is bounded by the input and survives
// encoding and decoding again.
func fuzz(f *testing.F, format uint16) {
	f.Helper()
	for _, c := range readVectors(f, "testdata/lwm2m.json") {
		if c.Content != nil && *c.Content == format {
			for i := range bases {
				f.Add(uint8(i), c.body(f))
			}
		}
	}
	f.Fuzz(func(t *testing.T, at uint8, body []byte) {
		base := bases[int(at)%len(bases)]
		got, err := codec.Options{}.DecodePack(format, base, body, total{})
		if err != nil {
			if !errors.Is(err, codec.ErrSyntax) {
				t.Errorf("DecodePack() = %v, want ErrSyntax", err)
			}
			return
		}
		if len(got.Entries) > len(body)+1 {
			t.Errorf("%d entries from %d bytes", len(got.Entries), len(body))
		}
		if format == codec.JSON {
			format := codec.SenMLJSON // its own encoder does not exist
			compare(t, format, got)
			return
		}
		if !slices.Contains([]uint16{codec.Text, codec.Opaque, codec.CBOR, codec.TLV}, format) {
			base = lwm2m.Path{} // whole names may lead anywhere
		}
		compareAt(t, format, base, got)
	})
}

func compare(t *testing.T, format uint16, want lwm2m.Pack) {
	t.Helper()
	compareAt(t, format, lwm2m.Path{}, want)
}

func compareAt(t *testing.T, format uint16, base lwm2m.Path, want lwm2m.Pack) {
	t.Helper()
	again, err := codec.EncodePack(format, base, want, total{})
	if errors.Is(err, senml.ErrTime) || (err != nil && infinite(want)) {
		return // times and numbers that can be read in one form but not written
	}
	if err != nil {
		t.Fatalf("EncodePack(%d, %v) = %v", format, want.Entries, err)
	}
	back, err := codec.Options{}.DecodePack(format, base, again, total{})
	if infinite(want) && err == nil {
		return // NaN equals nothing
	}
	if err != nil || !equal(sorted(back), sorted(want)) {
		t.Errorf("DecodePack(%d, %q) = %v, %v, want %v", format, again, back.Entries, err, want.Entries)
	}
}

func infinite(p lwm2m.Pack) bool {
	return slices.ContainsFunc(p.Entries, func(e lwm2m.Entry) bool {
		f, ok := e.Value.Float64()
		return ok && (math.IsNaN(f) || math.IsInf(f, 0))
	})
}

func FuzzText(f *testing.F)      { fuzz(f, codec.Text) }
func FuzzOpaque(f *testing.F)    { fuzz(f, codec.Opaque) }
func FuzzCBOR(f *testing.F)      { fuzz(f, codec.CBOR) }
func FuzzSenMLJSON(f *testing.F) { fuzz(f, codec.SenMLJSON) }
func FuzzSenMLCBOR(f *testing.F) { fuzz(f, codec.SenMLCBOR) }
func FuzzETCHJSON(f *testing.F)  { fuzz(f, codec.ETCHJSON) }
func FuzzETCHCBOR(f *testing.F)  { fuzz(f, codec.ETCHCBOR) }
func FuzzTLV(f *testing.F)       { fuzz(f, codec.TLV) }
func FuzzOMAJSON(f *testing.F)   { fuzz(f, codec.JSON) }
func FuzzLwM2MCBOR(f *testing.F) { fuzz(f, codec.LwM2MCBOR) }

func FuzzPaths(f *testing.F) {
	formats := []uint16{codec.SenMLJSON, codec.SenMLCBOR}
	for _, c := range readVectors(f, "testdata/lwm2m.json") {
		if c.Content != nil && slices.Contains(formats, *c.Content) {
			f.Add(*c.Content == codec.SenMLCBOR, c.body(f))
		}
	}
	f.Fuzz(func(t *testing.T, binary bool, body []byte) {
		format := formats[0]
		if binary {
			format = formats[1]
		}
		got, err := codec.DecodePaths(format, body)
		if err != nil {
			return
		}
		again, err := codec.EncodePaths(format, got)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := codec.DecodePaths(format, again); err != nil || !slices.Equal(back, got) {
			t.Errorf("DecodePaths(%d, %q) = %v, %v, want %v", format, again, back, err, got)
		}
	})
}
