package process_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"steward/suit"
	"steward/suit/process"
	"steward/suit/process/processtest"
)

// publishedNotBuilt names the published examples that need what is not built
// yet, with the feature.
var publishedNotBuilt = map[string]string{
	"trustdomains_example0_dependent":  "trust domains",
	"trustdomains_example1_process":    "trust domains",
	"trustdomains_example2_integrated": "trust domains",
	"encryption_aes-kw-content":        "COSE_Mac0, encryption",
	"encryption_aes-kw":                "COSE_Mac0, encryption",
	"encryption_aes-kw-slot":           "COSE_Mac0, encryption",
	"encryption_es-ecdh-content":       "encryption",
	"encryption_es-ecdh-dependency":    "trust domains, encryption",
	"teep_suit_uri":                    "trust domains (manifest-component-id)",
	"teep_suit_integrated":             "trust domains (manifest-component-id)",
	"teep_suit_personalization":        "trust domains",
	"tam_hello_txt":                    "trust domains (manifest-component-id)",
	"libcsuit_ED":                      "trust domains, encryption",
	"libcsuit_U0":                      "update management",
	"libcsuit_U1":                      "update management",
	"libcsuit_U2":                      "update management",
	"libcsuit_U3":                      "update management",
}

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
	raw := x.envelope(t, v)
	b := newStub(t, x, v, raw)
	_, err := b.processor.Open(t.Context(), raw)
	if v.Expected.Result == "invalid" {
		e, ok := errors.AsType[*process.Error](err)
		if !ok || e.Stage != v.Expected.Stage {
			t.Errorf("Open = %v, want an error in stage %s", err, v.Expected.Stage)
		}
		return
	}
	if err == nil {
		err = b.procedures(t, raw, v)
	}
	feature, listed := publishedNotBuilt[v.Name]
	missing := errors.Is(err, suit.ErrNotImplemented)
	switch {
	case listed && !missing && x.own:
		t.Errorf("needs %s, which is not built, but ended with: %v", feature, err)
	case missing && (listed || !x.own):
		t.Skipf("not built: %s (refused: %v)", feature, err)
	case err != nil:
		t.Errorf("%v, want success", err)
	}
}

// newStub returns a device that has all components of the manifest and the
// identity that it asks for, and to which every fetch delivers.
func newStub(t *testing.T, x *index, v vector, raw []byte) *bench {
	t.Helper()
	b := &bench{}
	components := map[suit.ComponentID]process.Component{}
	factory := map[suit.ComponentID][]byte{}
	sources := &processtest.Sources{Payloads: map[string][]byte{}}
	identity := process.Identity{
		Vendors: unhexAll(t, v.Device.VendorID), Classes: unhexAll(t, v.Device.ClassID),
	}
	tagged := v.Tagged == nil || *v.Tagged
	if e, err := suit.Decode(raw, suit.Limits{Untagged: !tagged}); err == nil {
		if m, err := e.Manifest(); err == nil {
			for _, id := range m.Components {
				components[id] = process.Component{Capacity: 1 << 20}
				factory[id] = []byte("factory")
			}
			for _, seq := range m.Sections {
				gather(t, seq, v, &identity, sources)
			}
		}
	}
	b.target = processtest.Open(processtest.NewDisk(), components, factory)
	anchors := x.anchors(t, []string{v.Key}, nil)
	if len(anchors) == 0 {
		for name := range x.Keys {
			anchors = append(anchors, x.anchors(t, []string{name}, nil)...)
		}
	}
	var err error
	b.processor, err = process.New(process.Options{
		Anchors: anchors, Identity: identity, Target: b.target, Fetch: sources,
		Limits: suit.Limits{Untagged: !tagged},
		Trace:  func(s process.Step) { b.trace = append(b.trace, s.String()) },
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return b
}

// gather collects identifiers and URIs from the parameters of seq. Payloads have
// the size that the manifest gives.
func gather(t *testing.T, seq suit.Sequence, v vector, d *process.Identity, s *processtest.Sources) {
	t.Helper()
	for _, c := range seq {
		payload := unhex(t, v.Payload)
		for _, p := range c.Parameters {
			switch p.Key {
			case suit.ParameterVendor:
				d.Vendors = append(d.Vendors, p.Bytes())
			case suit.ParameterClass:
				d.Classes = append(d.Classes, p.Bytes())
			case suit.ParameterURI:
				s.Payloads[p.Text()] = payload
			default:
			}
		}
		for _, nested := range c.Sequences {
			gather(t, nested, v, d, s)
		}
	}
}

// procedures runs the envelope through both procedures and compares the traces
// with those of the reference implementation. Most images of the examples are
// placeholders, which no content matches: there the traces are compared up to
// the command at which that shows.
func (b *bench) procedures(t *testing.T, raw []byte, v vector) error {
	t.Helper()
	rows := []struct {
		want run
		do   func() error
	}{
		{v.Oracle.Update, func() error { return b.processor.Update(t.Context(), raw) }},
		{v.Oracle.Invoke, func() error { return b.processor.Invoke(t.Context(), raw) }},
	}
	for _, row := range rows {
		b.trace = nil
		err := row.do()
		if errors.Is(err, suit.ErrNotImplemented) {
			return err
		}
		e, refused := errors.AsType[*process.Error](err)
		switch {
		case row.want.Result == "reject":
			if !refused || e.Stage != row.want.Stage {
				t.Errorf("outcome = %v, want an error in stage %s", err, row.want.Stage)
			}
		case errors.Is(err, process.ErrMismatch):
			if len(b.trace) > len(row.want.Trace) || !slices.Equal(b.trace, row.want.Trace[:len(b.trace)]) {
				t.Errorf("trace = %q,\nwant the beginning of %q", b.trace, row.want.Trace)
			}
			if last := b.trace[len(b.trace)-1]; !strings.Contains(last, "image-match") && !strings.Contains(last, "fetch") {
				t.Errorf("mismatch at %s", last)
			}
		case err != nil:
			t.Errorf("outcome = %v, want success", err)
		case !slices.Equal(b.trace, row.want.Trace):
			t.Errorf("trace = %q,\nwant %q", b.trace, row.want.Trace)
		}
		if v.Payload != "" && (err != nil || !b.holds(t, unhex(t, v.Payload))) {
			t.Errorf("outcome = %v, payload not installed", err)
		}
	}
	return nil
}

// holds reports whether a component has the content.
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
