package suit_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"steward/suit"
)

// TestMUD decodes manifests with element 25, whose container is made by hand.
func TestMUD(t *testing.T) {
	t.Parallel()
	e, err := suit.Decode(loadVector(t, "base_integrated"), suit.Limits{})
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	url := "d820" + "71" + hex.EncodeToString([]byte("https://mud.test/"))
	ski := "822f5820" + strings.Repeat("ab", 32)
	tests := []struct {
		name, container string
		want            error
	}{
		{"both", "a201" + url + "02" + ski, nil},
		{"no thumbprint", "a101" + url, suit.ErrStructure},
		{"no URL", "a102" + ski, suit.ErrStructure},
		{"unknown member", "a301" + url + "02" + ski + "0300", suit.ErrStructure},
		{"URL not tagged", "a20171" + hex.EncodeToString([]byte("https://mud.test/")) + "02" + ski, suit.ErrStructure},
		{"another tag", "a201d821" + url[4:] + "02" + ski, suit.ErrStructure},
		{"http", "a201d82070" + hex.EncodeToString([]byte("http://mud.test/")) + "02" + ski, suit.ErrStructure},
		{"short thumbprint", "a201" + url + "02822f41ab", suit.ErrStructure},
		{"unknown digest", "a201" + url + "02823863" + "41ab", suit.ErrStructure},
		{"not a map", "80", suit.ErrStructure},
		{"trailing byte", "a201" + url + "02" + ski + "00", suit.ErrEncoding},
	}
	for _, tt := range tests {
		raw, err := hex.DecodeString(tt.container)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		with := *e
		// One element more, with the highest key: it comes last.
		with.RawManifest = append(bytes.Clone(e.RawManifest), 0x18, 25, 0x58, byte(len(raw)))
		with.RawManifest = append(with.RawManifest, raw...)
		if len(raw) < 24 {
			with.RawManifest = append(bytes.Clone(e.RawManifest), 0x18, 25, 0x40|byte(len(raw)))
			with.RawManifest = append(with.RawManifest, raw...)
		}
		with.RawManifest[0]++
		m, err := with.Manifest()
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: Manifest = %v, want %v", tt.name, err, tt.want)
			continue
		}
		if err != nil {
			continue
		}
		if m.MUD.URL != "https://mud.test/" || m.MUD.SKI.Value[0] != 0xab {
			t.Errorf("%s: MUD = %+v", tt.name, m.MUD)
		}
		again, err := m.Envelope(suit.SHA256)
		if err != nil || !bytes.Equal(again.RawManifest, with.RawManifest) {
			t.Errorf("%s: Envelope = %x, %v; want %x", tt.name, again.RawManifest, err, with.RawManifest)
		}
	}
}
