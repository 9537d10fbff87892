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
	"steward/suit/cose"
	"steward/suit/process"
	"steward/suit/process/processtest"
)

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
		capacity, ok := v.Device.Capacity[name]
		if !ok {
			capacity = 1 << 16 // the component of a dependency
		}
		components[id] = process.Component{Slot: v.Device.Slots[name], Capacity: capacity}
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
	var keys []*cose.RecipientKey
	var manage *process.Management
	if slices.Contains(v.Device.Extensions, "enc") {
		private := x.Auxiliary["device_esdh_d"]
		if strings.Contains(v.What, "no ES-DH key") {
			private = ""
		}
		keys = recipientKeys(t, x.Auxiliary["kek_a128kw"], private)
	}
	if slices.Contains(v.Device.Extensions, "um") {
		manage = management(v.Device.Now)
	}
	var err error
	b.processor, err = process.New(process.Options{
		Anchors:      x.anchors(t, v.TrustedKeys, v.Device.ACL),
		TrustDomains: slices.Contains(v.Device.Extensions, "td"), Keys: keys, Management: manage,
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
	k, err := b.processor.Open(t.Context(), raw)
	report := func() *suit.Report { return b.processor.Report(raw, err, nil) }
	if err == nil {
		procedure := k.Install
		if v.Procedure == "invoke" {
			procedure = k.Invoke
		}
		err = procedure(t.Context())
		report = func() *suit.Report { return k.Report(err, nil) }
	}
	checkReport(t, v, report(), err)
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

// checkReport compares the report with the outcome, and with its encoding.
func checkReport(t *testing.T, v vector, r *suit.Report, err error) {
	t.Helper()
	again, parseErr := suit.ParseReport(r.Encode())
	if parseErr != nil || !bytes.Equal(again.Encode(), r.Encode()) {
		t.Errorf("ParseReport(%x) = %+v, %v", r.Encode(), again, parseErr)
	}
	if (r.Failure == nil) != (err == nil) {
		t.Errorf("report tells of failure %+v after %v", r.Failure, err)
	}
	if want := v.Expected.ReportReason; v.Expected.Result == "invalid" && want != nil && r.Failure.Reason != *want {
		t.Errorf("report reason = %v, want %v (%v)", r.Failure.Reason, *want, err)
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
	if e.Stage != v.Expected.Stage && v.Expected.AlsoAcceptable == "" {
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
