package rollout_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/suit"
	"steward/suit/author"
	"steward/suit/rollout"
	"steward/suit/rollout/rolltest"
)

var (
	vendor = author.VendorID("example.com")
	class  = author.ClassID(vendor, "sensor")
)

// envelope makes an unsigned manifest: only devices ask who signed it.
func envelope(t *testing.T, sequence uint64, uri string, components ...string) []byte {
	t.Helper()
	plan := author.Plan{Vendor: vendor, Class: class, Sequence: sequence}
	for _, name := range components {
		slot := author.Slot{Payload: []byte(strings.Repeat(name, 600)), URI: uri + "/" + name}
		if uri == "" {
			slot.URI, slot.Integrated = "#"+name, true
		}
		plan.Images = append(plan.Images, author.Image{Component: suit.ComponentPath(name), Slots: []author.Slot{slot}})
	}
	built, err := plan.Build()
	if err != nil {
		t.Fatal(err)
	}
	return built.Envelope.Encode()
}

// A prober is a device that answers reads.
type prober struct {
	instances map[uint16][]uint16
	entries   []lwm2m.Entry
	silent    bool
}

func (p *prober) Read(_ context.Context, _ fleet.ID, path lwm2m.Path) (out []lwm2m.Entry, err error) {
	if p.silent {
		return nil, rollout.ErrUnreachable
	}
	for _, e := range p.entries {
		if path.Contains(e.Path) {
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		return nil, rollout.ErrRefused
	}
	return out, nil
}

func (*prober) Write(context.Context, fleet.ID, lwm2m.Path, lwm2m.Value) error { return nil }
func (*prober) Execute(context.Context, fleet.ID, lwm2m.Path) error            { return nil }
func (*prober) Observe(context.Context, fleet.ID, lwm2m.Path) error            { return nil }

func (p *prober) Instances(_ context.Context, _ fleet.ID, object uint16) ([]uint16, error) {
	return p.instances[object], nil
}

// plain is a device with Firmware Update and, if it is said, Device Metadata.
func plain(fw objects.Firmware, metadata *objects.Metadata, free int64) *prober {
	p := &prober{instances: map[uint16][]uint16{5: {0}}, entries: fw.Entries(lwm2m.NewPath(5, 0))}
	p.entries = append(p.entries, lwm2m.Entry{Path: lwm2m.NewPath(3, 0, 10), Value: lwm2m.Integer(free)})
	if metadata != nil {
		p.instances[objects.MetadataID] = []uint16{0}
		p.entries = append(p.entries, metadata.Entries(lwm2m.NewPath(objects.MetadataID, 0))...)
	}
	return p
}

// advanced is a device with a component for each name.
func advanced(names ...string) *prober {
	p := plain(objects.Firmware{Delivery: objects.DeliveryBoth}, nil, 64)
	delete(p.instances, 5)
	for i, name := range names {
		p.instances[objects.AdvancedFirmwareID] = append(p.instances[objects.AdvancedFirmwareID], uint16(i))
		p.entries = append(p.entries, objects.AdvancedFirmware{
			Firmware: objects.Firmware{Delivery: objects.DeliveryBoth}, Component: name,
		}.Entries(lwm2m.NewPath(objects.AdvancedFirmwareID, uint16(i)))...)
	}
	return p
}

func TestCheck(t *testing.T) {
	both := objects.Firmware{
		Delivery: objects.DeliveryBoth, Protocols: map[uint16]objects.FirmwareProtocol{0: objects.ProtocolCoAPS},
	}
	pullOnly, http := both, both
	pullOnly.Delivery = objects.DeliveryPull
	http.Protocols = map[uint16]objects.FirmwareProtocol{0: objects.ProtocolHTTPS}
	ours := &objects.Metadata{Protocol: 1, Vendor: vendor.String(), Class: "urn:uuid:" + strings.ToUpper(class.String())}
	other := &objects.Metadata{Vendor: vendor.String(), Class: author.ClassID(vendor, "lock").String()}
	raw := &objects.Metadata{Vendor: string(vendor[:]), Class: string(class[:])}
	tests := []struct {
		name      string
		device    *prober
		installed []rollout.Installed
		delivery  rollout.Delivery
		parts     []string
		want      []string // how the reasons begin
	}{
		{name: "fits", device: plain(both, ours, 64)},
		{name: "fits by pull", device: plain(both, ours, 64), delivery: rollout.Pull},
		{name: "identifiers as bytes", device: plain(both, raw, 64)},
		{name: "a device that says nothing", device: plain(objects.Firmware{Delivery: objects.DeliveryBoth}, nil, 0)},
		{name: "no object for updates", device: &prober{}, want: []string{"the device has no object for updates"}},
		{name: "another class", device: plain(both, other, 64), want: []string{"made for class"}},
		{
			name: "newer installed", device: plain(both, ours, 64), installed: []rollout.Installed{{Sequence: 4}, {Sequence: 9}},
			want: []string{"sequence number 5 is older than 9, which the device has (installed by another provider)"},
		},
		{
			name: "the same installed", device: plain(both, ours, 64),
			installed: []rollout.Installed{{Sequence: 5, Release: "x"}},
		},
		{name: "no room", device: plain(both, ours, 1), want: []string{"1200 bytes are needed, the device has 1024 free"}},
		{name: "pull only", device: plain(pullOnly, ours, 64), want: []string{"the device takes updates by pull only"}},
		{
			name: "by HTTPS only", device: plain(http, ours, 64), delivery: rollout.Pull,
			want: []string{"the device does not fetch by coaps, but by https"},
		},
		{name: "a component", device: advanced("fw", "modem"), parts: []string{"modem"}},
		{name: "all components", device: advanced("fw", "modem"), parts: []string{"fw", "modem"}},
		{
			name: "a component that is not there", device: advanced("fw"), parts: []string{"fw", "modem"},
			want: []string{"component modem is not on the device, which has fw"},
		},
		{
			name: "everything wrong", device: plain(pullOnly, other, 1),
			want: []string{"made for class", "1200 bytes", "the device takes"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.delivery == "" {
				tt.delivery = rollout.Push
			}
			if tt.parts == nil {
				tt.parts = []string{"fw"}
			}
			c, r := courier(t, tt.device, tt.installed, tt.parts...)
			got, err := c.Check(t.Context(), rollout.Order{Device: "a", Release: r, Delivery: tt.delivery})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
				t.Errorf("Check = %q, want %q", got, tt.want)
			}
		})
	}
}

// courier returns a Courier with a release of sequence number 5 for some components.
func courier(t *testing.T, p rollout.Reach, installed []rollout.Installed, parts ...string) (
	*rollout.Courier, rollout.Release,
) {
	t.Helper()
	store := &rolltest.Store{}
	r := rollout.Release{ID: "r", Sequence: 5, Class: class.String(), Vendor: vendor.String()}
	err := store.AddRelease(t.Context(), r, rollout.Content{
		Push: envelope(t, 5, "", parts...), Pull: envelope(t, 5, "coaps://h/update/p/r", parts...),
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := rollout.NewCourier(rollout.CourierOptions{
		Releases: store, Payloads: rollout.NewPayloads(store, 0), Budgets: rollout.NewBudgets(0), Devices: p,
		Installed: func(context.Context, fleet.ID) ([]rollout.Installed, error) { return installed, nil },
		URI:       func(id string, _ []objects.FirmwareProtocol) string { return rollout.EnvelopeURI("coaps://h", id) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, r
}

func TestCheckWaitsForTheDevice(t *testing.T) {
	p := plain(objects.Firmware{}, nil, 1)
	p.silent = true
	c, r := courier(t, p, nil, "fw")
	o := rollout.Order{Device: "a", Release: r, Delivery: rollout.Push}
	if _, err := c.Check(t.Context(), o); !errors.Is(err, rollout.ErrUnreachable) {
		t.Errorf("Check of a silent device = %v, want ErrUnreachable", err)
	}
	none := rollout.Order{Release: rollout.Release{ID: "x"}, Delivery: rollout.Push}
	if _, err := c.Check(t.Context(), none); !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("Check of no release = %v, want ErrUnknown", err)
	}
	if _, err := rollout.NewCourier(rollout.CourierOptions{}); err == nil {
		t.Error("NewCourier without anything = nil")
	}
}

func TestRequirementsRefused(t *testing.T) {
	for _, raw := range [][]byte{nil, []byte("x"), envelope(t, 1, "", "fw")[:40]} {
		if _, err := rollout.RequirementsOf(raw); !errors.Is(err, rollout.ErrRelease) {
			t.Errorf("RequirementsOf(%.8x) = %v, want ErrRelease", raw, err)
		}
	}
}
