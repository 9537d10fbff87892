package transfer_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"steward/transfer"
)

func request() transfer.MandateRequest {
	return transfer.MandateRequest{
		Transfer: "00", From: "Alpha", To: "Beta", Earliest: noon, Latest: noon.Add(time.Hour), Attestation: true,
		Devices: []transfer.MandateRequestDevice{{Endpoint: "lamp-1", Factory: transfer.Hash{1}.String()}},
	}
}

// TestMandateRequest: what a service user signs is what the operator asked for.
func TestMandateRequest(t *testing.T) {
	w := newWorld(t)
	text := must(request().Encode())(t)
	r := must(transfer.ParseMandateRequest(text))(t)
	raw := must(r.Mandate("Owner", noon, w.id).Sign(w.user.signer()))(t)
	m := must(transfer.VerifyMandate(raw, w.user.cert))(t).Body
	if m.Issuer != "Owner" || !m.NeedsAttestation() || m.MayKeepApplication() ||
		!m.Orders("Alpha", "Beta", transfer.NewWindow(noon, noon.Add(time.Hour))) ||
		m.Orders("Alpha", "Beta", transfer.NewWindow(noon, noon.Add(2*time.Hour))) || m.Orders("Beta", "Alpha", m.Window) {
		t.Errorf("signed: %+v", m)
	}
	if !m.Names(transfer.Hash{1}, "lamp-1") || m.Names(transfer.Hash{2}, "lamp-1") {
		t.Error("it does not name exactly the device that was listed")
	}
}

func TestMandateRequestRefuses(t *testing.T) {
	for name, change := range map[string]func(*transfer.MandateRequest){
		"no device":          func(r *transfer.MandateRequest) { r.Devices = nil },
		"devices and group":  func(r *transfer.MandateRequest) { r.Group = "lamps" },
		"no outgoing":        func(r *transfer.MandateRequest) { r.From = "" },
		"no incoming":        func(r *transfer.MandateRequest) { r.To = "" },
		"ends at its begin":  func(r *transfer.MandateRequest) { r.Latest = r.Earliest },
		"no end":             func(r *transfer.MandateRequest) { r.Latest = time.Time{} },
		"no certificate":     func(r *transfer.MandateRequest) { r.Devices[0].Factory = "" },
		"half a certificate": func(r *transfer.MandateRequest) { r.Devices[0].Factory = strings.Repeat("0a", 16) },
		"a long group": func(r *transfer.MandateRequest) {
			r.Devices, r.Group = nil, strings.Repeat("x", 256)
		},
		"a long name": func(r *transfer.MandateRequest) { r.Devices[0].Endpoint = strings.Repeat("x", 256) },
	} {
		r := request()
		change(&r)
		if _, err := r.Encode(); !errors.Is(err, transfer.ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	text := must(request().Encode())(t)
	for name, bad := range map[string][]byte{
		"another type":    bytes.Replace(text, []byte("mandate-request/1"), []byte("mandate-request/2"), 1),
		"unknown member":  bytes.Replace(text, []byte(`"from"`), []byte(`"of"`), 1),
		"something after": append(bytes.Clone(text), '{'),
		"nothing":         nil,
		"far too long":    append(bytes.Clone(text), make([]byte, 5<<20)...),
	} {
		if _, err := transfer.ParseMandateRequest(bad); !errors.Is(err, transfer.ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMandateNames says who is meant by each kind of group.
func TestMandateNames(t *testing.T) {
	for _, tt := range []struct {
		devices transfer.Devices
		subject string
		want    bool
		group   string
	}{
		{transfer.Devices{Group: "lamp-*"}, "lamp-7", true, ""},
		{transfer.Devices{Group: "lamp-*"}, "lam", false, ""},
		{transfer.Devices{Group: "lamp-*"}, "", false, ""},
		{transfer.Devices{Group: "*"}, "anything", true, ""},
		{transfer.Devices{Group: "lamps"}, "pump-1", true, "lamps"},
		{transfer.Devices{Factory: []transfer.Hash{{2}}, Group: "lamp-*"}, "lamp-7", false, ""},
	} {
		m := transfer.Mandate{MandateTerms: transfer.MandateTerms{Devices: tt.devices}}
		if got := m.Names(transfer.Hash{1}, tt.subject); got != tt.want {
			t.Errorf("%+v names %q: %t", tt.devices, tt.subject, got)
		}
		if got := tt.devices.GroupName(); got != tt.group {
			t.Errorf("%+v: group %q, want %q", tt.devices, got, tt.group)
		}
	}
}

func FuzzMandateRequest(f *testing.F) {
	text, err := request().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := transfer.ParseMandateRequest(text)
		if err != nil {
			return
		}
		again := must(r.Encode())(t)
		if back := must(transfer.ParseMandateRequest(again))(t); len(back.Devices) != len(r.Devices) {
			t.Errorf("%q became %q", text, again)
		}
	})
}
