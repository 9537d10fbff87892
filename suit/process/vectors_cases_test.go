package process_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"steward/suit"
	"steward/suit/process"
	"steward/suit/process/processtest"
)

// notBuilt names the cases that need what is not built yet, with the feature.
// They must be refused with suit.ErrNotImplemented, and are skipped then.
var notBuilt = map[string]string{
	"base_hs256":              "COSE_Mac0",
	"neg_mac_with_public_key": "COSE_Mac0",
	"neg_mac_truncated":       "COSE_Mac0",
	"base_enc_a128kw_ctr":     "encryption",
	"base_enc_ecdh_gcm":       "encryption",
	"neg_enc_tag":             "encryption",
	"neg_enc_kek":             "encryption",
	"neg_enc_no_recipient":    "encryption",
	"neg_enc_tag16":           "encryption",
	"base_dependency":         "trust domains",
	"neg_dep_no_integrity":    "trust domains",
	"neg_dep_digest":          "trust domains",
	"neg_dep_wrong_vendor":    "trust domains",
}

func TestVectorsSUITCases(t *testing.T) {
	t.Parallel()
	for _, x := range loadIndexes(t, "suit-cases") {
		for _, v := range x.Vectors {
			t.Run(v.Name, func(t *testing.T) {
				t.Parallel()
				runCase(t, x, v)
			})
		}
	}
}

// A bench is the device of a case with its processor.
type bench struct {
	target    *processtest.Target
	processor *process.Processor
	before    map[suit.ComponentID][]byte
	trace     []string
}

func newBench(t *testing.T, x *index, v vector) *bench {
	t.Helper()
	b := &bench{before: map[suit.ComponentID][]byte{}}
	components := map[suit.ComponentID]process.Component{}
	for name, text := range v.Device.Components {
		id := componentID(t, name)
		components[id] = process.Component{Slot: v.Device.Slots[name], Capacity: v.Device.Capacity[name]}
		if text != nil {
			b.before[id] = x.content(t, *text)
		}
	}
	b.target = processtest.Open(processtest.NewDisk(), components, b.before)
	b.target.SetInstalled(process.Installed{Sequence: v.Device.Sequence})
	var custom []process.Custom
	for _, code := range v.Device.CustomCommands {
		custom = append(custom, process.Custom{
			Code: code, Parameters: []suit.Key{suit.Key(code)},
			Run: func(context.Context, suit.ComponentID, []byte) error { return nil },
		})
	}
	var err error
	b.processor, err = process.New(process.Options{
		Anchors: x.anchors(t, v.TrustedKeys, v.Device.ACL),
		Identity: process.Identity{
			Vendors: unhexAll(t, v.Device.VendorIDs...), Classes: unhexAll(t, v.Device.ClassIDs...),
			Device: unhex(t, v.Device.DeviceID),
		},
		Target:        b.target,
		Fetch:         &processtest.Sources{Payloads: x.payloads(t, v), Schemes: v.Device.Schemes},
		Limits:        suit.Limits{Untagged: v.Tagged != nil && !*v.Tagged},
		MaxComponents: v.Device.MaxComponents,
		Digests:       v.Policy.Digests,
		Custom:        custom,
		Trace:         func(s process.Step) { b.trace = append(b.trace, s.String()) },
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return b
}

func runCase(t *testing.T, x *index, v vector) {
	t.Helper()
	b := newBench(t, x, v)
	raw := x.envelope(t, v)
	procedure := b.processor.Update
	if v.Procedure == "invoke" {
		procedure = b.processor.Invoke
	}
	err := procedure(t.Context(), raw)
	skipNotBuilt(t, x, v, err)
	if v.Expected.Result == "policy" {
		t.Logf("a matter of policy; ours: %v", err)
		return
	}
	if v.Expected.Result == "valid" {
		b.checkValid(t, x, v, err)
		return
	}
	b.checkInvalid(t, v, err)
}

// skipNotBuilt skips a case that was refused for want of a feature, after
// checking that it is one of those, or comes from elsewhere.
func skipNotBuilt(t *testing.T, x *index, v vector, err error) {
	t.Helper()
	feature, listed := notBuilt[v.Name]
	missing := errors.Is(err, suit.ErrNotImplemented)
	switch {
	case listed && !missing:
		t.Fatalf("%s needs %s, which is not built, but ended with: %v", v.Name, feature, err)
	case listed:
		t.Skipf("not built: %s (refused: %v)", feature, err)
	case missing && v.Expected.Result == "valid" && x.own:
		t.Errorf("refused as not implemented: %v", err)
	case missing && (v.Expected.Result == "valid" || process.Result(err) != v.Expected.UpdateResult):
		t.Skipf("not built: %v", err)
	}
}

func (b *bench) checkValid(t *testing.T, x *index, v vector, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s = %v, want success", v.Procedure, err)
	}
	for name, text := range v.Expected.ComponentsAfter {
		got := b.target.Content(componentID(t, name))
		if strings.Contains(*text, "sha256:") {
			if sum := fmt.Sprintf("%d bytes, sha256:%x", len(got), sha256.Sum256(got)); sum != *text {
				t.Errorf("component %s has %s, want %s", name, sum, *text)
			}
			continue
		}
		if want := x.content(t, *text); !bytes.Equal(got, want) {
			t.Errorf("component %s = %x, want %x", name, got, want)
		}
	}
	if len(v.Trace) > 0 && !slices.Equal(b.trace, v.Trace) {
		t.Errorf("trace = %q,\nwant %q", b.trace, v.Trace)
	}
	if (v.Expected.Invoked != nil) != (len(b.target.Invoked) == 1) {
		t.Errorf("invoked %v, want %v", b.target.Invoked, v.Expected.Invoked)
	}
}

func (b *bench) checkInvalid(t *testing.T, v vector, err error) {
	t.Helper()
	e, ok := errors.AsType[*process.Error](err)
	if !ok {
		t.Fatalf("%s = %v, want an error in stage %s", v.Procedure, err, v.Expected.Stage)
	}
	if e.Stage != v.Expected.Stage {
		t.Errorf("refused in stage %s, want %s: %v", e.Stage, v.Expected.Stage, err)
	}
	if got := process.Result(err); got != v.Expected.UpdateResult {
		t.Errorf("Result(%v) = %d, want %d (%s)", err, got, v.Expected.UpdateResult, v.Expected.Detail)
	}
	for id, want := range b.before {
		if got := b.target.Content(id); !bytes.Equal(got, want) {
			t.Errorf("component %v changed", id)
		}
	}
	in, _, err := b.target.Installed(t.Context())
	if err != nil || in.Sequence != v.Device.Sequence {
		t.Errorf("sequence number = %d, %v, want %d", in.Sequence, err, v.Device.Sequence)
	}
}
