package process_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"steward/suit"
	"steward/suit/process"
	"steward/suit/process/processtest"
)

// TestVectorsSUITPublished runs the published examples on a device that has what
// each of them asks for. Examples that break the text are refused by a strict
// processor, and carried out with the switch for just that.
func TestVectorsSUITPublished(t *testing.T) {
	t.Parallel()
	for _, x := range loadIndexes(t, "suit-published") {
		for _, v := range x.Vectors {
			t.Run(v.Name, func(t *testing.T) {
				t.Parallel()
				runPublished(t, x, v)
			})
		}
	}
}

func runPublished(t *testing.T, x *index, v vector) {
	t.Helper()
	s := newStub(t, x, v)
	b := s.bench(t, process.Interop{PrefixIdentifiers: true})
	_, err := b.processor.Open(t.Context(), s.raw)
	if v.Expected.Result == "invalid" {
		e, ok := errors.AsType[*process.Error](err)
		if !ok || e.Stage != v.Expected.Stage {
			t.Errorf("Open = %v, want an error in stage %s", err, v.Expected.Stage)
		}
		return
	}
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	b.outcome(t, s, v.Oracle.Update, b.processor.Update(t.Context(), s.raw))
	if v.Oracle.Lenient.Result != "" {
		b = s.bench(t, process.Interop{PrefixIdentifiers: true, ImpliedIntegrity: true})
		b.outcome(t, s, v.Oracle.Lenient, b.processor.Update(t.Context(), s.raw))
	}
	b.trace = nil
	b.outcome(t, s, v.Oracle.Invoke, b.processor.Invoke(t.Context(), s.raw))
	if !s.beyond {
		return
	}
	b = s.bench(t, process.Interop{})
	e, ok := errors.AsType[*process.Error](b.processor.Update(t.Context(), s.raw))
	if !ok || e.Stage != process.StagePrecheck || e.Reason != process.ReasonStructure {
		t.Errorf("a strict processor says %v, want an error in stage %s", e, process.StagePrecheck)
	}
}

// A stub is what a device needs for one example.
type stub struct {
	x          *index
	v          vector
	raw        []byte
	components map[suit.ComponentID]process.Component
	factory    map[suit.ComponentID][]byte
	sources    *processtest.Sources
	identity   process.Identity
	beyond     bool // a dependency is not among the components
}

func newStub(t *testing.T, x *index, v vector) *stub {
	t.Helper()
	s := &stub{
		x: x, v: v, raw: x.envelope(t, v),
		components: map[suit.ComponentID]process.Component{}, factory: map[suit.ComponentID][]byte{},
		sources:  &processtest.Sources{Payloads: map[string][]byte{}},
		identity: process.Identity{Vendors: unhexAll(t, v.Device.VendorID), Classes: unhexAll(t, v.Device.ClassID)},
	}
	s.provide(t, s.raw)
	return s
}

// provide has the device suit an envelope and those that it depends on.
func (s *stub) provide(t *testing.T, raw []byte) {
	t.Helper()
	e, err := suit.Decode(raw, suit.Limits{Untagged: true})
	if err != nil {
		return
	}
	m, err := e.Manifest()
	if err != nil {
		return
	}
	for i, id := range m.Components {
		s.components[id] = process.Component{Capacity: 1 << 20}
		if _, dependency := m.Dependency(i); !dependency {
			s.factory[id] = []byte("factory")
		}
	}
	for _, d := range m.Dependencies {
		id, _ := m.Component(d.Index)
		s.components[id] = process.Component{Capacity: 1 << 20}
		s.beyond = s.beyond || d.Index >= len(m.Components)
	}
	for _, seq := range m.Sections {
		s.gather(t, seq)
	}
	for _, payload := range e.Integrated {
		s.provide(t, payload)
	}
}

// gather collects identifiers and URIs from the parameters of seq.
func (s *stub) gather(t *testing.T, seq suit.Sequence) {
	t.Helper()
	for _, c := range seq {
		var uri string
		var digest suit.Digest
		var size uint64
		for _, p := range c.Parameters {
			switch p.Key {
			case suit.ParameterVendor:
				s.identity.Vendors = append(s.identity.Vendors, p.Bytes())
			case suit.ParameterClass:
				s.identity.Classes = append(s.identity.Classes, p.Bytes())
			case suit.ParameterURI:
				uri = p.Text()
			case suit.ParameterImageDigest:
				digest = p.Digest()
			case suit.ParameterImageSize:
				size = p.Uint()
			default:
			}
		}
		if uri != "" {
			s.sources.Payloads[uri] = s.payload(t, digest, size)
		}
		for _, nested := range c.Sequences {
			s.gather(t, nested)
		}
	}
}

// payload returns what a URI delivers: another example that is the dependency
// asked for, a ciphertext of the size asked for, or what the index says.
func (s *stub) payload(t *testing.T, digest suit.Digest, size uint64) []byte {
	t.Helper()
	for _, v := range s.x.Vectors {
		raw := s.x.envelope(t, v)
		e, err := suit.Decode(raw, suit.Limits{Untagged: true})
		if err != nil || !e.Digest.Equal(digest) || len(e.Blocks) == 0 {
			continue
		}
		e.Tagged = e.Tagged || uint64(len(raw))+2 == size
		s.provide(t, raw)
		return e.Encode()
	}
	for name, example := range s.x.Encryption {
		text, err := os.ReadFile(filepath.Join(s.x.dir, example.Ciphertext))
		if err != nil {
			t.Fatalf("reading ciphertext: %v", err)
		}
		raw := unhex(t, strings.TrimSpace(string(text)))
		if uint64(len(raw)) == size && strings.Contains(s.v.Name, name[:len("aes-kw")]) {
			return raw
		}
	}
	return unhex(t, s.v.Payload)
}

// bench returns the device with its processor.
func (s *stub) bench(t *testing.T, interop process.Interop) *bench {
	t.Helper()
	b := &bench{target: processtest.Open(processtest.NewDisk(), s.components, s.factory)}
	names := []string{}
	for name := range s.x.Keys {
		names = append(names, name)
	}
	var err error
	b.processor, err = process.New(process.Options{
		Anchors: s.x.anchors(t, names, nil), Identity: s.identity, Target: b.target, Fetch: s.sources,
		Limits:       suit.Limits{Untagged: s.v.Tagged != nil && !*s.v.Tagged},
		TrustDomains: true, Interop: interop,
		Keys:       recipientKeys(t, s.x.Auxiliary["kek-kid-1 (A128KW)"], s.x.Auxiliary["esdh-kid-2 (P-256 d)"]),
		Management: management(1_465_000_000), // before the use-before of all examples
		Trace:      func(step process.Step) { b.trace = append(b.trace, step.String()) },
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return b
}

// outcome compares the outcome of a procedure and its trace with those of the
// reference implementation. Most images of the examples are placeholders, which no
// content matches: there the traces are compared up to the command at which that
// shows.
func (b *bench) outcome(t *testing.T, s *stub, want run, err error) {
	t.Helper()
	e, refused := errors.AsType[*process.Error](err)
	switch {
	case want.Result == "reject":
		if !refused || e.Stage != want.Stage {
			t.Errorf("outcome = %v, want an error in stage %s", err, want.Stage)
		}
	case errors.Is(err, process.ErrMismatch) && s.v.Plaintext == "":
		if len(b.trace) > len(want.Trace) || !slices.Equal(b.trace, want.Trace[:len(b.trace)]) {
			t.Errorf("trace = %q,\nwant the beginning of %q", b.trace, want.Trace)
		}
		if last := b.trace[len(b.trace)-1]; !strings.Contains(last, "image-match") && !strings.Contains(last, "fetch") {
			t.Errorf("mismatch at %s: %v", last, err)
		}
	case err != nil:
		t.Errorf("outcome = %v, want success", err)
	case !slices.Equal(b.trace, want.Trace):
		t.Errorf("trace = %q,\nwant %q", b.trace, want.Trace)
	}
	for _, content := range [][]byte{unhex(t, s.v.Payload), []byte(s.v.Plaintext)} {
		if len(content) > 0 && (err != nil || !b.holds(t, content)) {
			t.Errorf("outcome = %v, payload not installed", err)
		}
	}
}

// holds reports whether the first component has the content.
func (b *bench) holds(t *testing.T, want []byte) bool {
	t.Helper()
	in, ok, err := b.target.Installed(t.Context())
	if err != nil || !ok {
		return false
	}
	e, err := suit.Decode(in.Envelope, suit.Limits{})
	if err != nil {
		return false
	}
	m, err := e.Manifest()
	return err == nil && bytes.Equal(b.target.Content(m.Components[0]), want)
}
