package suit_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steward/suit"
)

// loadVector reads testdata/name.hex below its source line.
func loadVector(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		tb.Fatalf("reading vector: %v", err)
	}
	_, digits, _ := strings.Cut(string(text), "\n")
	raw, err := hex.DecodeString(strings.TrimSpace(digits))
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return raw
}

// vectorNames lists the files of testdata.
func vectorNames(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.hex"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no vectors: %v", err)
	}
	names := make([]string, 0, len(files))
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".hex"))
	}
	return names
}

// severed lists the elements that stand in the envelope.
func severed(e *suit.Envelope) []suit.Element {
	var list []suit.Element
	for element := range e.Severable {
		list = append(list, element)
	}
	return list
}

// TestRoundTrip decodes the valid vectors and encodes them again: envelope and
// manifest must come out byte for byte.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, name := range vectorNames(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := loadVector(t, name)
			e, err := suit.Decode(raw, suit.Limits{Untagged: true})
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if again := e.Encode(); !bytes.Equal(again, raw) {
				t.Errorf("Encode = %x, want %x", again, raw)
			}
			m, err := e.Manifest()
			if strings.HasPrefix(name, "neg_") {
				if !errors.Is(err, suit.ErrEncoding) {
					t.Errorf("Manifest = %v, want %v", err, suit.ErrEncoding)
				}
				return
			}
			if err != nil {
				t.Fatalf("Manifest: %v", err)
			}
			if err := e.VerifyDigest(); err != nil {
				t.Errorf("VerifyDigest: %v", err)
			}
			built, err := m.Envelope(suit.SHA256, severed(e)...)
			if err != nil {
				t.Fatalf("Envelope: %v", err)
			}
			if !bytes.Equal(built.RawManifest, e.RawManifest) || !bytes.Equal(built.RawDigest, e.RawDigest) {
				t.Errorf("manifest = %x, want %x", built.RawManifest, e.RawManifest)
			}
		})
	}
}

func TestManifestFields(t *testing.T) {
	t.Parallel()
	e, err := suit.Decode(loadVector(t, "manifest_ex2_es256"), suit.Limits{})
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	m, err := e.Manifest()
	if err != nil {
		t.Fatalf("Manifest: %v", err)
	}
	if m.Sequence != 2 || len(m.Components) != 1 || m.Components[0] != suit.NewComponentID([]byte{0}) {
		t.Errorf("manifest = %d, %v", m.Sequence, m.Components)
	}
	if len(m.Text) != 1 || m.Text[0].Language != "en-US" ||
		m.Text[0].Components[m.Components[0]][suit.TextVendorDomain] != "arm.com" {
		t.Errorf("text = %+v", m.Text)
	}
	e.Sever(suit.ElementText)
	if m, err = e.Manifest(); err != nil || m.Text != nil || m.Severed[suit.ElementText].Algorithm != suit.SHA256 {
		t.Errorf("after Sever: %+v, %v", m, err)
	}
	e.Severable[suit.ElementInstall][3] ^= 1
	_, err = e.Manifest()
	d, ok := errors.AsType[*suit.DecodeError](err)
	if !ok || d.Layer != suit.LayerSeverable || !errors.Is(err, suit.ErrDigest) {
		t.Errorf("Manifest with a changed install = %v", err)
	}
}
