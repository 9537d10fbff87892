package process_test

import (
	"bytes"
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
	for _, name := range []string{
		"suit-cases/base_severable", "suit-cases/base_two_components", "suit-cases/base_try_each_nil",
		"suit-cases/base_swap", "suit-cases/base_dependency", "suit-cases/base_enc_a128kw_ctr",
		"suit-published/libcsuit_U0", "suit-published/libcsuit_U3", "suit-published/trustdomains_example1_process",
	} {
		raw := readHex(f, "testdata/"+name+".hex")
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
	shared, err := cose.NewSharedKey(bytes.Repeat([]byte("a"), 16), nil)
	if err != nil {
		f.Fatalf("NewSharedKey: %v", err)
	}
	dependency := fuzzDependency(f, signer)
	f.Fuzz(func(t *testing.T, manifest []byte) {
		e := &suit.Envelope{
			Tagged: true, RawManifest: manifest, Integrated: map[string][]byte{"#fw.bin": {1}, "#modem.suit": dependency},
		}
		e.Digest, _ = suit.Sum(suit.SHA256, wrapped(t, manifest))
		e.RawDigest = e.Digest.Encode()
		raw, err := author.Sign(e, signer)
		if err != nil {
			t.Fatalf("Sign: %v", err)
		}
		components := map[suit.ComponentID]process.Component{}
		for _, name := range []string{"fw", "modem", "staging", "cfg", "dep/modem.suit", "dependent.suit", "10"} {
			components[suit.ComponentPath(name)] = process.Component{Capacity: 4096}
		}
		p, err := process.New(process.Options{
			Anchors:      []process.Anchor{{Key: key.Public()}},
			Target:       processtest.Open(processtest.NewDisk(), components, nil),
			TrustDomains: true, Keys: []*cose.RecipientKey{shared}, Management: managed(nil),
			Interop: process.Interop{PrefixIdentifiers: true, ImpliedIntegrity: true}, Reporting: process.ReportEverything,
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

// fuzzDependency is an envelope whose component the device has.
func fuzzDependency(f *testing.F, signer *cose.Signer) []byte {
	f.Helper()
	m := &suit.Manifest{
		Components: []suit.ComponentID{suit.ComponentPath("modem")},
		Sections: map[suit.Section]suit.Sequence{
			suit.SectionInstall: {{Code: suit.DirectiveWrite}}, suit.SectionUninstall: {{Code: suit.ConditionAbort}},
		},
	}
	e, err := m.Envelope(suit.SHA256)
	if err != nil {
		f.Fatalf("Envelope: %v", err)
	}
	raw, err := author.Sign(e, signer)
	if err != nil {
		f.Fatalf("Sign: %v", err)
	}
	return raw
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
