package app_test

import (
	"context"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sim"
	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
	"steward/suit/rollout"
	"steward/transfer"
)

const sensor = "urn:dev:sensor"

// living starts a simulated device that belongs to a provider, and returns its id
// there once it has registered.
func living(t *testing.T, a *app.App) fleet.ID {
	t.Helper()
	factory := esttest.NewFactory(t, time.Now)
	made := esttest.NewDevice(t, factory, sensor)
	key, err := bundle.EncodeKey(made.Key)
	if err != nil {
		t.Fatal(err)
	}
	_, signer := a.SUIT()
	vendor := author.VendorID("example.com")
	b := &bundle.Bundle{
		Version: bundle.Version, Endpoint: sensor,
		Factory: bundle.Factory{Key: key, Chain: []string{bundle.EncodeCertificate(made.DER)}},
		Anchors: []bundle.Anchor{bundle.NewAnchor(factory.Root().Raw, transfer.Enrol|transfer.Fallback)},
		Provider: &bundle.Provider{
			ServerURI: a.CoAPSURI(), EnrollURI: a.CoAPSURI(), SSID: 1, Lifetime: 300,
			Anchors: []bundle.Anchor{
				bundle.NewAnchor(a.CA().Certificate().Raw, transfer.Enrol|transfer.DM|transfer.Update),
				bundle.NewAnchor(signer, transfer.SUITSigner),
			},
		},
		Hardware: bundle.Hardware{
			Manufacturer: "Example", Model: "Sensor", Serial: "1", Vendor: vendor.String(),
			Class: author.ClassID(vendor, "sensor").String(),
		},
		Firmware: bundle.Firmware{Version: "1.0.0", Sequence: 1},
	}
	hash := est.Hash(transfer.HashOf(made.DER))
	if err := a.CA().TrustFactoryCA(t.Context(), factory.Root().Raw); err != nil {
		t.Fatal(err)
	}
	if _, err := a.CA().GrantRight(t.Context(), est.Grant{FactoryDER: made.DER}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.CA().OpenRight(t.Context(), hash, est.Hash{}); err != nil {
		t.Fatal(err)
	}
	d := fleet.Device{
		ID: "01SENSOR", Endpoint: lwm2m.Endpoint(sensor), Factory: fleet.Factory(hash), Ownership: fleet.Owned,
		CreatedAt: time.Now(),
	}
	if err := a.DB().Devices().Put(t.Context(), d, "test", "test"); err != nil {
		t.Fatal(err)
	}
	live(t, b)
	return d.ID
}

// live runs a device until the test ends, and returns when it has registered.
func live(t *testing.T, b *bundle.Bundle) {
	t.Helper()
	registered := make(chan struct{}, 16)
	device, err := sim.New(b, sim.Options{
		StateDir: t.TempDir(), AckTimeout: 500 * time.Millisecond, RetryFirst: 50 * time.Millisecond, NoSync: true,
		Events: func(e sim.Event) {
			if e.Kind == sim.Registered {
				select {
				case registered <- struct{}{}:
				default:
				}
			}
			t.Logf("%s %s %s", e.Kind, e.Detail, e.Error)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- device.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	select {
	case <-registered:
	case <-time.After(time.Minute):
		t.Fatal("not registered")
	}
}

// plan makes a release of a manifest that our key signed.
func plan(t *testing.T, a *app.App, id string, p author.Plan) rollout.Release {
	t.Helper()
	key, _ := a.SUIT()
	p.Vendor = author.VendorID("example.com")
	if p.Class.IsZero() {
		p.Class = author.ClassID(p.Vendor, "sensor")
	}
	p.Images = []author.Image{{Component: suit.NewComponentID([]byte{0}), Slots: []author.Slot{{
		Payload: []byte("image " + id), URI: "#image", Integrated: true,
	}}}}
	built, err := p.Build()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := cose.NewSigner(key, cose.ES256, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := author.Sign(built.Envelope, signer)
	if err != nil {
		t.Fatal(err)
	}
	accept := func(*suit.Envelope) error { return nil }
	r, c, err := rollout.ImportRelease(id, id, "test", raw, nil, accept, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r.State = rollout.ReleaseApproved
	if err := a.StockRelease(t.Context(), r, c); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTheOperatorReadsWords leads updates through a real provider to a device and
// looks at the reason of each job.
func TestTheOperatorReadsWords(t *testing.T) {
	a := serving(t)
	device := living(t, a)
	vendor := author.VendorID("example.com")
	for _, tt := range []struct {
		name string
		plan author.Plan
		want rollout.JobState
		text string
	}{
		{
			"class",
			author.Plan{Sequence: 2, Class: author.ClassID(vendor, "lock")},
			rollout.Incompatible,
			"made for class " + author.ClassID(vendor, "lock").String() + ", the device is " +
				author.ClassID(vendor, "sensor").String(),
		},
		{
			"expired",
			author.Plan{Sequence: 2, UseBefore: 1},
			rollout.Failed,
			"the update has expired (condition-use-before, component 0)",
		},
		{"good", author.Plan{Sequence: 3}, rollout.Done, ""},
		{
			"older",
			author.Plan{Sequence: 2},
			rollout.Incompatible,
			"sequence number 2 is older than 3, which the device has (installed by us)",
		},
	} {
		r := plan(t, a, tt.name, tt.plan)
		c, err := a.Rollout().Start(t.Context(), rollout.Draft{
			ID: "C" + tt.name, Name: tt.name, Release: r.ID, Delivery: rollout.Push, Devices: []fleet.ID{device}, By: "x",
		})
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		j := over(t, a, c.ID)
		if j.State != tt.want || tt.text != "" && j.Reason != tt.text && j.Reason != "update failed: "+tt.text {
			t.Errorf("%s: %s, %q; want %s, %q", tt.name, j.State, j.Reason, tt.want, tt.text)
		}
	}
}

// over returns the only job of a campaign once it is over.
func over(t *testing.T, a *app.App, campaign string) rollout.Job {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		lines, err := a.DB().Rollout().Lines(t.Context(), campaign, rollout.Job{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) == 1 && lines[0].State.Over() {
			return lines[0].Job
		}
		<-tick.C
	}
	t.Fatalf("%s: not over", campaign)
	return rollout.Job{}
}
