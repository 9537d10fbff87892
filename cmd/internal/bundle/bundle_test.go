package bundle_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/bundle"
	"steward/est/esttest"
	"steward/suit"
	"steward/suit/author"
	"steward/transfer"
)

func example(t *testing.T) *bundle.Bundle {
	t.Helper()
	factory := esttest.NewFactory(t, time.Now)
	made := esttest.NewDevice(t, factory, "urn:dev:os:1")
	key, err := bundle.EncodeKey(made.Key)
	if err != nil {
		t.Fatal(err)
	}
	vendor := author.VendorID("example.com")
	return &bundle.Bundle{
		Version: bundle.Version, Endpoint: made.Endpoint,
		Factory: bundle.Factory{Key: key, Chain: []string{bundle.EncodeCertificate(made.DER)}},
		Anchors: []bundle.Anchor{bundle.NewAnchor(factory.Root().Raw, transfer.Enrol|transfer.Fallback)},
		Provider: &bundle.Provider{
			ServerURI: "coaps://127.0.0.11", EnrollURI: "coaps://127.0.0.11",
			Anchors: []bundle.Anchor{bundle.NewAnchor(factory.Root().Raw, transfer.DM|transfer.SUITSigner)},
		},
		Hardware: bundle.Hardware{Vendor: vendor.String(), Class: author.ClassID(vendor, "x").String()},
	}
}

func TestWriteAndLoad(t *testing.T) {
	t.Parallel()
	b, dir := example(t), t.TempDir()
	path, err := b.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(path, "urn:dev:os:1"+bundle.Suffix) {
		t.Errorf("Write = %s", path)
	}
	for _, from := range []string{path, dir} {
		all, err := bundle.Load(from)
		if err != nil || len(all) != 1 {
			t.Fatalf("Load(%s) = %d bundles, %v", from, len(all), err)
		}
		got := all[0]
		if got.Home().Account != (transfer.Account{SSID: 1, Lifetime: 86400}) {
			t.Errorf("account %+v", got.Home().Account)
		}
		anchors, err := got.Truststore()
		if err != nil || len(anchors) != 2 || anchors[0].Domain != transfer.Permanent ||
			anchors[1].Domain != transfer.Current || anchors[1].Purposes != transfer.DM|transfer.SUITSigner ||
			anchors[1].Instance != 1 {
			t.Errorf("Truststore = %+v, %v", anchors, err)
		}
		ids, err := got.ComponentIDs()
		if err != nil || len(ids) != 1 || ids[0] != suit.NewComponentID([]byte{0}) {
			t.Errorf("ComponentIDs = %v, %v", ids, err)
		}
		if id, err := got.Identity(); err != nil || len(id.Vendors[0]) != 16 {
			t.Errorf("Identity = %+v, %v", id, err)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	other := example(t)
	rows := []struct {
		name   string
		change func(b *bundle.Bundle)
	}{
		{"another version", func(b *bundle.Bundle) { b.Version = 2 }},
		{"no endpoint", func(b *bundle.Bundle) { b.Endpoint = "" }},
		{"another's name", func(b *bundle.Bundle) { b.Endpoint = "other" }},
		{"another's key", func(b *bundle.Bundle) { b.Factory.Key = other.Factory.Key }},
		{"no key", func(b *bundle.Bundle) { b.Factory.Key = "x" }},
		{"no certificate", func(b *bundle.Bundle) { b.Factory.Chain = nil }},
		{"bad certificate", func(b *bundle.Bundle) { b.Factory.Chain[0] = "x" }},
		{"permanent anchor for management", func(b *bundle.Bundle) { b.Anchors[0].Purposes = []string{"dm"} }},
		{"unknown purpose", func(b *bundle.Bundle) { b.Anchors[0].Purposes = []string{"everything"} }},
		{"no purpose", func(b *bundle.Bundle) { b.Anchors[0].Purposes = nil }},
		{"provider's fallback", func(b *bundle.Bundle) { b.Provider.Anchors[0].Purposes = []string{"fallback"} }},
		{"NoSec server", func(b *bundle.Bundle) { b.Provider.ServerURI = "coap://127.0.0.1" }},
		{"object ids", func(b *bundle.Bundle) { b.Objects.Transfer = 3 }},
		{"component", func(b *bundle.Bundle) { b.Hardware.Components = []string{"fw"} }},
		{"vendor", func(b *bundle.Bundle) { b.Hardware.Vendor = "x" }},
	}
	for _, row := range rows {
		b := example(t)
		row.change(b)
		raw, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bundle.Parse(raw); !errors.Is(err, bundle.ErrBundle) {
			t.Errorf("%s: Parse = %v, want %v", row.name, err, bundle.ErrBundle)
		}
	}
	for _, text := range []string{"", "{", `{"unknown":1}`, `{} {}`} {
		if _, err := bundle.Parse([]byte(text)); !errors.Is(err, bundle.ErrBundle) {
			t.Errorf("Parse(%q) = %v, want %v", text, err, bundle.ErrBundle)
		}
	}
	if _, err := bundle.Load(t.TempDir()); !errors.Is(err, bundle.ErrBundle) {
		t.Errorf("Load of an empty directory = %v, want %v", err, bundle.ErrBundle)
	}
}

// FuzzParse reads any text: no panic, and what was read is written as the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version":1,"endpoint":"x"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := bundle.Parse(raw)
		if err != nil {
			return
		}
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bundle.Parse(text); err != nil {
			t.Errorf("Parse of what Parse gave = %v", err)
		}
	})
}
