package process_test

import (
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
	"steward/suit/process"
	"steward/suit/process/processtest"
)

// FuzzProcess runs arbitrary manifests, rightly signed, on a device: whatever a
// trusted author writes must not break the processor.
func FuzzProcess(f *testing.F) {
	for _, name := range []string{"base_severable", "base_two_components", "base_try_each_nil", "base_swap"} {
		raw := readHex(f, "testdata/suit-cases/"+name+".hex")
		e, err := suit.Decode(raw, suit.Limits{})
		if err != nil {
			f.Fatalf("Decode(%s): %v", name, err)
		}
		f.Add(e.RawManifest)
	}
	key := newKey(f)
	signer, err := cose.NewSigner(key, 0, nil)
	if err != nil {
		f.Fatalf("NewSigner: %v", err)
	}
	f.Fuzz(func(t *testing.T, manifest []byte) {
		e := &suit.Envelope{Tagged: true, RawManifest: manifest, Integrated: map[string][]byte{"#fw.bin": {1}}}
		e.Digest, _ = suit.Sum(suit.SHA256, wrapped(t, manifest))
		e.RawDigest = e.Digest.Encode()
		raw, err := author.Sign(e, signer)
		if err != nil {
			t.Fatalf("Sign: %v", err)
		}
		components := map[suit.ComponentID]process.Component{}
		for _, name := range []string{"fw", "modem", "staging", "cfg"} {
			components[suit.ComponentPath(name)] = process.Component{Capacity: 4096}
		}
		p, err := process.New(process.Options{
			Anchors: []process.Anchor{{Key: key.Public()}},
			Target:  processtest.Open(processtest.NewDisk(), components, nil),
		})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		for _, err := range []error{p.Update(t.Context(), raw), p.Invoke(t.Context(), raw)} {
			if _, ok := errors.AsType[*process.Error](err); err != nil && !ok {
				t.Errorf("outcome %v is not an *Error", err)
			}
		}
	})
}

func readHex(tb testing.TB, path string) []byte {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatalf("reading vector: %v", err)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
	return raw
}

// wrapped returns content as a CBOR byte string.
func wrapped(tb testing.TB, content []byte) []byte {
	tb.Helper()
	raw, err := cbor.Marshal(content)
	if err != nil {
		tb.Fatalf("Marshal: %v", err)
	}
	return raw
}
