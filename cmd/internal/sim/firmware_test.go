package sim_test

import (
	"bytes"
	"testing"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sim"
	"steward/cmd/internal/sim/nvm"
	"steward/lwm2m"
	"steward/objects"
	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
	"steward/suit/process"
	"steward/suit/process/processtest"
	"steward/transfer"
)

var (
	firmwareBase    = lwm2m.NewPath(objects.FirmwareID, 0)
	firmwarePackage = firmwareBase.Child(objects.FirmwarePackage)
	firmwareURI     = firmwareBase.Child(objects.FirmwareURI)
	firmwareUpdate  = firmwareBase.Child(objects.FirmwareUpdate)
	firmwareState   = firmwareBase.Child(objects.FirmwareStateID)
	firmwareResult  = firmwareBase.Child(objects.FirmwareResultID)
)

// image is what updates install: larger than one block.
var image = bytes.Repeat([]byte("firmware"), 700)

// manifest makes a signed envelope, with the image if uri is empty.
func manifest(t *testing.T, by transfer.Signer, version string, sequence uint64, uri string) []byte {
	t.Helper()
	return manifestFor(t, by, version, sequence, image, uri)
}

// manifestOf is manifest with another image inside.
func manifestOf(t *testing.T, by transfer.Signer, version string, sequence uint64, image []byte) []byte {
	t.Helper()
	return manifestFor(t, by, version, sequence, image, "")
}

func manifestFor(
	t *testing.T, by transfer.Signer, version string, sequence uint64, image []byte, uri string,
) []byte {
	t.Helper()
	component := suit.NewComponentID([]byte{0})
	e, err := author.Build(author.Options{
		Vendor: vendor, Class: class, Sequence: sequence, Component: component, Payload: image,
		Integrated: uri == "", URI: uri,
		Text: []suit.Text{{
			Language: "en",
			Components: map[suit.ComponentID]map[suit.ComponentTextKey]string{
				component: {suit.TextComponentVersion: version},
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := cose.NewSigner(by.Key, cose.ESP256, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := author.Sign(e, signer)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (p *provider) awaitInt(path lwm2m.Path, want int64) {
	p.t.Helper()
	for {
		if got, _ := p.read(endpoint, path).Int(); got == want {
			return
		}
		p.pause()
	}
}

func checkUpdated(t *testing.T, p *provider, dir string, b *bundle.Bundle, version string) {
	t.Helper()
	p.awaitInt(firmwareState, int64(objects.FirmwareIdle))
	p.awaitInt(firmwareResult, int64(objects.FirmwareSuccess))
	if got := p.read(endpoint, lwm2m.NewPath(3, 0, 3)).Text(); got != version {
		t.Errorf("read /3/0/3 = %q, want %q", got, version)
	}
	s, err := sim.Inspect(dir, b)
	if err != nil || s.Version != version {
		t.Errorf("Inspect = %+v, %v, want version %s", s, err, version)
	}
}

func TestFirmwareByPush(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	dir := t.TempDir()
	b := f.device("dev1", alpha)
	r := start(t, b, options(dir))
	r.await(sim.Registered)
	if err := alpha.write(firmwarePackage, lwm2m.Opaque(manifest(t, alpha.suit, "2.0.0", 2, ""))); err != nil {
		t.Fatal(err)
	}
	alpha.awaitInt(firmwareState, int64(objects.FirmwareDownloaded))
	if err := alpha.srv.Execute(t.Context(), "dev1", firmwareUpdate, ""); err != nil {
		t.Fatal(err)
	}
	r.await(sim.Updated)
	checkUpdated(t, alpha, dir, b, "2.0.0")

	// Again, from outside the factory's image, and never back.
	if err := alpha.write(firmwareURI, lwm2m.String("")); err != nil {
		t.Fatal(err)
	}
	if err := alpha.write(firmwarePackage, lwm2m.Opaque(manifest(t, alpha.suit, "1.5", 1, ""))); err != nil {
		t.Fatal(err)
	}
	r.await(sim.UpdateFailed)
	alpha.awaitInt(firmwareResult, int64(objects.FirmwareFailed))
}

func TestFirmwareByPull(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	dir := t.TempDir()
	b := f.device("dev1", alpha)
	r := start(t, b, options(dir))
	r.await(sim.Registered)
	alpha.mu.Lock()
	alpha.payloads["image"] = image
	alpha.payloads["envelope"] = manifest(t, alpha.suit, "2.0.0", 2, alpha.uri()+"/update/p/image")
	alpha.mu.Unlock()
	if err := alpha.write(firmwareURI, lwm2m.String(alpha.uri()+"/update/e/envelope")); err != nil {
		t.Fatal(err)
	}
	alpha.awaitInt(firmwareState, int64(objects.FirmwareDownloaded))
	if err := alpha.srv.Execute(t.Context(), "dev1", firmwareUpdate, ""); err != nil {
		t.Fatal(err)
	}
	r.await(sim.Updated)
	checkUpdated(t, alpha, dir, b, "2.0.0")
}

func TestFirmwareIsRefused(t *testing.T) {
	t.Parallel()
	alpha, rogue, f := newProvider(t, "alpha"), newProvider(t, "rogue"), newFactory(t)
	r := start(t, f.device("dev1", alpha), options(t.TempDir()))
	r.await(sim.Registered)
	rows := []struct {
		name   string
		path   lwm2m.Path
		value  lwm2m.Value
		result objects.FirmwareResult
	}{
		{"signed by another", firmwarePackage, lwm2m.Opaque(manifest(t, rogue.suit, "2", 2, "")), objects.FirmwareIntegrity},
		{"no envelope", firmwarePackage, lwm2m.Opaque([]byte("x")), objects.FirmwareUnsupportedType},
		{"NoSec", firmwareURI, lwm2m.String("coap://127.0.0.1/x"), objects.FirmwareUnsupportedProto},
		{"nothing there", firmwareURI, lwm2m.String(alpha.uri() + "/update/e/none"), objects.FirmwareInvalidURI},
		{"a server that is not trusted", firmwareURI, lwm2m.String(rogue.uri() + "/x"), objects.FirmwareFailed},
	}
	for _, row := range rows {
		if err := alpha.write(row.path, row.value); err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		r.await(sim.UpdateFailed)
		alpha.awaitInt(firmwareResult, int64(row.result))
		alpha.awaitInt(firmwareState, int64(objects.FirmwareIdle))
	}
}

func TestTarget(t *testing.T) {
	t.Parallel()
	processtest.TestTarget(t, func(t *testing.T) processtest.Fixture {
		t.Helper()
		path := t.TempDir() + "/state"
		f := processtest.Fixture{Component: suit.ComponentPath("fw"), Other: suit.ComponentPath("staging")}
		f.Open = func(t *testing.T) process.Target {
			t.Helper()
			nv, err := nvm.Open(nvm.Options{Path: path, NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = nv.Close() })
			return sim.NewTarget(nv, f.Component, f.Other)
		}
		return f
	})
}
