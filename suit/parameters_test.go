package suit_test

import (
	"testing"

	"steward/suit"
)

func TestParameters(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		component int
		uri       string
		size      uint64
	}{
		{name: "manifest_ex2_es256", uri: "http://example.com/very/long/path/to/file/file.bin", size: 34768},
		{name: "manifest_ex4_es256", component: 1, uri: "http://example.com/file.bin"},
		{name: "base_two_components", uri: "coap://[2001:db8::1]/fw/fw.bin", size: 1024},
		{name: "base_two_components", component: 1, uri: "coap://[2001:db8::1]/fw/modem.bin", size: 300},
	}
	for _, test := range tests {
		e, err := suit.Decode(loadVector(t, test.name), suit.Limits{})
		if err != nil {
			t.Fatalf("Decode: %v", err)
		}
		m, err := e.Manifest()
		if err != nil {
			t.Fatalf("Manifest: %v", err)
		}
		got := m.Parameters(test.component)
		if uri := got[suit.ParameterURI].Text(); uri != test.uri {
			t.Errorf("%s [%d]: URI = %q, want %q", test.name, test.component, uri, test.uri)
		}
		if size := got[suit.ParameterImageSize].Uint(); size != test.size {
			t.Errorf("%s [%d]: size = %d, want %d", test.name, test.component, size, test.size)
		}
		if d := got[suit.ParameterImageDigest].Digest(); d.Algorithm != suit.SHA256 {
			t.Errorf("%s [%d]: digest = %v", test.name, test.component, d)
		}
	}
}
