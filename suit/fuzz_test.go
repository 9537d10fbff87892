package suit_test

import (
	"bytes"
	"testing"

	"steward/suit"
)

// FuzzEnvelope decodes arbitrary bytes: what is accepted encodes to the same.
func FuzzEnvelope(f *testing.F) {
	for _, name := range vectorNames(f) {
		f.Add(loadVector(f, name))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := suit.Decode(raw, suit.Limits{Untagged: true})
		if err != nil {
			return
		}
		if again := e.Encode(); !bytes.Equal(again, raw) {
			t.Errorf("Encode(Decode(%x)) = %x", raw, again)
		}
	})
}

// FuzzManifest decodes arbitrary manifests, with install in the envelope so that
// severed elements are met: what is accepted encodes to the same.
func FuzzManifest(f *testing.F) {
	for _, name := range vectorNames(f) {
		e, err := suit.Decode(loadVector(f, name), suit.Limits{Untagged: true})
		if err != nil {
			f.Fatalf("Decode(%s): %v", name, err)
		}
		f.Add(e.RawManifest, e.Severable[suit.ElementInstall])
	}
	f.Fuzz(func(t *testing.T, manifest, install []byte) {
		e := &suit.Envelope{RawManifest: manifest, Severable: map[suit.Element][]byte{}}
		if len(install) > 0 {
			e.Severable[suit.ElementInstall] = install
		}
		m, err := e.Manifest()
		if err != nil {
			return
		}
		again, err := m.Envelope(suit.SHA256, severed(e)...)
		if err != nil {
			t.Fatalf("Envelope of %x: %v", manifest, err)
		}
		if !bytes.Equal(again.RawManifest, manifest) {
			t.Errorf("encoded %x, decoded from %x", again.RawManifest, manifest)
		}
	})
}

// FuzzSequence decodes arbitrary command sequences: what is accepted encodes to
// the same.
func FuzzSequence(f *testing.F) {
	f.Add([]byte{0x82, 0x03, 0x0f}, 1, false)
	f.Add([]byte{0x84, 0x0c, 0xf5, 0x03, 0x0f}, 2, true)
	f.Add([]byte{0x82, 0x0c, 0x81, 0x00}, 1, false) // a list of one index
	for _, name := range vectorNames(f) {
		e, err := suit.Decode(loadVector(f, name), suit.Limits{Untagged: true})
		if err != nil {
			f.Fatalf("Decode(%s): %v", name, err)
		}
		if m, err := e.Manifest(); err == nil {
			for section, seq := range m.Sections {
				raw, err := seq.Encode()
				if err != nil {
					f.Fatalf("Encode(%s): %v", name, err)
				}
				f.Add(raw, len(m.Components), section == suit.SectionShared)
			}
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, components int, shared bool) {
		seq, err := suit.ParseSequence(raw, components, shared)
		if err != nil {
			return
		}
		again, err := seq.Encode()
		if err != nil || !bytes.Equal(again, raw) {
			t.Errorf("Encode(ParseSequence(%x)) = %x, %v", raw, again, err)
		}
	})
}
