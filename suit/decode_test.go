package suit_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"steward/suit"
)

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	wrapper := "0246" + "8144822f4100" // [bstr([-16, h'00'])]
	tests := []struct {
		name string
		in   string
		want error
	}{
		{name: "nothing", in: "", want: suit.ErrEncoding},
		{name: "indefinite map (dressup_eof)", in: "d86bbf", want: suit.ErrEncoding},
		{name: "reserved additional information", in: "d86bbc", want: suit.ErrEncoding},
		{name: "map of 2^32 pairs", in: "d86bbb0000000100000000", want: suit.ErrEncoding},
		{name: "array of 2^63 items", in: "d86b9b8000000000000000", want: suit.ErrEncoding},
		{name: "string of 2^64-1 bytes", in: "d86b5bffffffffffffffff", want: suit.ErrEncoding},
		{name: "tag not minimal", in: "d9006ba0", want: suit.ErrEncoding},
		{name: "nested too deep", in: "d86b" + strings.Repeat("81", 40) + "00", want: suit.ErrEncoding},
		{name: "text not UTF-8", in: "d86ba161ff40", want: suit.ErrEncoding},
		{name: "simple value not minimal", in: "d86ba102f814", want: suit.ErrEncoding},
		{name: "keys out of order", in: "d86ba2034002" + "40", want: suit.ErrEncoding},
		{name: "key twice", in: "d86ba2024002" + "40", want: suit.ErrEncoding},
		{name: "bare manifest", in: "d9042ea0", want: suit.ErrStructure},
		{name: "no tag", in: "a0", want: suit.ErrStructure},
		{name: "empty map", in: "d86ba0", want: suit.ErrStructure},
		{name: "no manifest", in: "d86ba1" + wrapper, want: suit.ErrStructure},
		{name: "wrapper is not an array", in: "d86ba10241a0", want: suit.ErrStructure},
		{name: "wrapper is empty", in: "d86ba1024180", want: suit.ErrStructure},
		{name: "reserved key 1", in: "d86ba10140", want: suit.ErrStructure},
		{name: "key is a byte string", in: "d86ba1414040", want: suit.ErrStructure},
		{name: "validate in the envelope", in: "d86ba2" + wrapper + "0740", want: suit.ErrStructure},
		{name: "uninstall in the envelope", in: "d86ba2" + wrapper + "181840", want: suit.ErrStructure},
		{name: "MUD in the envelope", in: "d86ba2" + wrapper + "181940", want: suit.ErrStructure},
		{name: "integrated payload is text", in: "d86ba16123" + "60", want: suit.ErrStructure},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			raw, err := hex.DecodeString(test.in)
			if err != nil {
				t.Fatalf("hexadecimal: %v", err)
			}
			_, err = suit.Decode(raw, suit.Limits{})
			d, ok := errors.AsType[*suit.DecodeError](err)
			if !ok || d.Layer != suit.LayerEnvelope || !errors.Is(err, test.want) {
				t.Errorf("Decode(%s) = %v, want %v", test.in, err, test.want)
			}
		})
	}
	raw := loadVector(t, "base_integrated")
	if _, err := suit.Decode(raw, suit.Limits{Envelope: len(raw) - 1}); !errors.Is(err, suit.ErrEncoding) {
		t.Errorf("Decode beyond the limit = %v, want %v", err, suit.ErrEncoding)
	}
}

func TestParseSequenceRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		in         string
		components int
		shared     bool
		want       error
	}{
		{name: "empty", in: "80", components: 1, want: suit.ErrStructure},
		{name: "odd", in: "8103", components: 1, want: suit.ErrStructure},
		{name: "not an array", in: "a10300", components: 1, want: suit.ErrStructure},
		{name: "code is text", in: "82613300", components: 1, want: suit.ErrStructure},
		{name: "policy 16", in: "820310", components: 1, want: suit.ErrStructure},
		{name: "policy is null", in: "8203f6", components: 1, want: suit.ErrStructure},
		{name: "index is false", in: "820cf4", components: 1, want: suit.ErrStructure},
		{name: "index beyond the components", in: "820c02", components: 2, want: suit.ErrStructure},
		{name: "index twice", in: "820c820000", components: 2, want: suit.ErrStructure},
		{name: "index list is empty", in: "820c80", components: 2, want: suit.ErrStructure},
		{name: "no index with two components", in: "820300", components: 2, want: suit.ErrStructure},
		{name: "parameters are empty", in: "8214a0", components: 1, want: suit.ErrStructure},
		{name: "class of 15 bytes", in: "8214a1024f000000000000000000000000000000", components: 1, want: suit.ErrStructure},
		{name: "digest is not an array", in: "8214a1034100", components: 1, want: suit.ErrStructure},
		{name: "uri is bytes", in: "8214a11540", components: 1, want: suit.ErrStructure},
		{name: "one alternative", in: "820f81438203" + "00", components: 1, want: suit.ErrStructure},
		{name: "alternative not wrapped", in: "820f82820300820300", components: 1, want: suit.ErrStructure},
		{name: "run-sequence not wrapped", in: "821820820300", components: 1, want: suit.ErrStructure},
		{name: "fetch in shared", in: "821500", components: 1, shared: true, want: suit.ErrStructure},
		{name: "custom command in shared", in: "8239012b00", components: 1, shared: true, want: suit.ErrStructure},
		{name: "custom parameter in shared", in: "8214a139012b00", components: 1, shared: true, want: suit.ErrStructure},
		{name: "trailing byte", in: "82030000", components: 1, want: suit.ErrEncoding},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			raw, err := hex.DecodeString(test.in)
			if err != nil {
				t.Fatalf("hexadecimal: %v", err)
			}
			if _, err := suit.ParseSequence(raw, test.components, test.shared); !errors.Is(err, test.want) {
				t.Errorf("ParseSequence(%s) = %v, want %v", test.in, err, test.want)
			}
		})
	}
}

func TestComponentID(t *testing.T) {
	t.Parallel()
	id := suit.ComponentPath("modem/main")
	if id != suit.NewComponentID([]byte("modem"), []byte("main")) || id.String() != "modem/main" {
		t.Errorf("ComponentPath = %q", id.String())
	}
	if got := suit.NewComponentID([]byte{0}, []byte("a/b")).String(); got != "00/612f62" {
		t.Errorf("String = %q", got)
	}
	if !id.HasPrefix(suit.ComponentPath("modem")) || id.HasPrefix(suit.ComponentPath("mod")) || id.HasPrefix("") {
		t.Errorf("HasPrefix of %v is wrong", id)
	}
	if got := suit.ComponentID("\x9f").Segments(); got != nil {
		t.Errorf("Segments of garbage = %x", got)
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	d, err := suit.Sum(suit.SHA384, []byte("content"))
	if err != nil {
		t.Fatalf("Sum: %v", err)
	}
	again, err := suit.ParseDigest(d.Encode())
	if err != nil || !again.Equal(d) {
		t.Errorf("ParseDigest = %v, %v, want %v", again, err, d)
	}
	if err := d.Verify([]byte("content"), suit.SHA256); !errors.Is(err, suit.ErrAlgorithm) {
		t.Errorf("Verify with SHA-256 only = %v, want %v", err, suit.ErrAlgorithm)
	}
	if err := d.Verify([]byte("other"), suit.SHA384); !errors.Is(err, suit.ErrDigest) {
		t.Errorf("Verify of other content = %v, want %v", err, suit.ErrDigest)
	}
	if _, err := suit.Sum(-14, nil); !errors.Is(err, suit.ErrAlgorithm) {
		t.Errorf("Sum(SHA-1) = %v, want %v", err, suit.ErrAlgorithm)
	}
}

func TestNewParameterRefuses(t *testing.T) {
	t.Parallel()
	for key, value := range map[suit.Key]any{
		suit.ParameterClass: []byte("short"), suit.ParameterURI: true, suit.ParameterImageSize: "1", suit.ParameterVendor: 1,
	} {
		if _, err := suit.NewParameter(key, value); !errors.Is(err, suit.ErrOptions) {
			t.Errorf("NewParameter(%v, %v) = %v, want %v", key, value, err, suit.ErrOptions)
		}
	}
}

func TestManifestEnvelopeRefuses(t *testing.T) {
	t.Parallel()
	id := suit.ComponentPath("fw")
	tests := map[string]*suit.Manifest{
		"no components": {},
		"empty sequence": {Components: []suit.ComponentID{id}, Sections: map[suit.Section]suit.Sequence{
			suit.SectionInstall: {},
		}},
		"fetch in shared": {Components: []suit.ComponentID{id}, Sections: map[suit.Section]suit.Sequence{
			suit.SectionShared: {{Code: suit.DirectiveFetch}},
		}},
	}
	for name, m := range tests {
		if _, err := m.Envelope(suit.SHA256); !errors.Is(err, suit.ErrOptions) {
			t.Errorf("%s: Envelope = %v, want %v", name, err, suit.ErrOptions)
		}
	}
	good := &suit.Manifest{Components: []suit.ComponentID{id}}
	if _, err := good.Envelope(suit.SHA256, suit.ElementValidate); !errors.Is(err, suit.ErrOptions) {
		t.Errorf("severing validate = %v, want %v", err, suit.ErrOptions)
	}
}
