package services_test

import (
	"bytes"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/fleet"
	"steward/web"
)

func TestFactoryAuthorities(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	der := w.factory.Certificate().Raw
	device := esttest.NewDevice(t, w.factory, "d")
	for name, bad := range map[string][]byte{
		"nothing": nil, "text": []byte("hello"), "a device's": device.DER, "our own": w.ca.Certificate().Raw,
		"two": toPEM(der, der), "a key": []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
		"too long": bytes.Repeat([]byte("a"), 1<<20), "cut": toPEM(der)[:100], "followed": append(toPEM(der), "x"...),
	} {
		_, err := w.Factories.AddFactoryAuthority(ctx, alice, bad)
		wantError(t, name, err, web.ErrInvalid)
	}
	for _, form := range [][]byte{der, toPEM(der)} {
		got, err := w.Factories.AddFactoryAuthority(ctx, alice, form)
		if err != nil || got.ID != id(hash(der)) || got.Subject != "Factory" {
			t.Errorf("AddFactoryAuthority = %+v, %v", got, err)
		}
	}
	if row := w.audited(t, "factory_ca.trust"); row.Actor != "operator:alice" {
		t.Errorf("audit row = %+v", row.Row)
	}
	if list, err := w.Factories.FactoryAuthorities(ctx); err != nil || len(list) != 1 {
		t.Errorf("FactoryAuthorities = %+v, %v", list, err)
	}
	stolen := web.Revocation{Reason: web.ReasonCompromise}
	if _, err := w.Certificates.Revoke(ctx, alice, id(hash(der)), stolen); err != nil {
		t.Fatal(err)
	}
	_, err := w.Factories.AddFactoryAuthority(ctx, alice, der)
	wantError(t, "one taken off", err, web.ErrConflict)
	if list, err := w.Factories.FactoryAuthorities(ctx); err != nil || len(list) != 0 {
		t.Errorf("FactoryAuthorities = %+v, %v", list, err)
	}
}

func TestImportDevice(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	device := esttest.NewDevice(t, w.factory, "urn:dev:1")
	_, err := w.Factories.ImportDevice(ctx, alice, web.NewDevice{Certificate: device.DER})
	wantError(t, "of a factory that is not listed", err, web.ErrInvalid)
	w.trust(t)

	tagged := web.NewDevice{Certificate: device.DER, Tags: []string{"b", "a", "b"}}
	first, err := w.Factories.ImportDevice(ctx, alice, tagged)
	if err != nil || first.State != web.DeviceExpected || first.Endpoint != "urn:dev:1" ||
		first.Factory != id(device.Factory) || len(first.Tags) != 2 {
		t.Fatalf("ImportDevice = %+v, %v", first, err)
	}
	if row := w.audited(t, "device.put"); row.Actor != "operator:alice" {
		t.Errorf("audit row = %+v", row.Row)
	}
	if row := w.audited(t, "right."); row.Actor != "operator:alice" {
		t.Errorf("audit row = %+v", row.Row)
	}
	right, err := w.ca.Right(ctx, device.Factory)
	if err != nil || right.State != est.RightOpen || right.SPKI != (est.Hash{}) {
		t.Errorf("right = %+v, %v", right, err)
	}
	before := w.audited(t, "").ID
	same := web.NewDevice{Certificate: toPEM(device.DER), Endpoint: "urn:dev:1"}
	again, err := w.Factories.ImportDevice(ctx, alice, same)
	if err != nil || again.ID != first.ID || len(again.Tags) != 2 {
		t.Errorf("ImportDevice again = %+v, %v", again, err)
	}
	if after := w.audited(t, "").ID; after != before {
		t.Errorf("importing again wrote %d audit rows", after-before)
	}

	stranger := esttest.NewFactory(t, w.clock.Now)
	if _, err := w.Factories.AddFactoryAuthority(ctx, alice, stranger.Certificate().Raw); err != nil {
		t.Fatal(err)
	}
	other := esttest.NewDevice(t, stranger, "urn:dev:1")
	_, err = w.Factories.ImportDevice(ctx, alice, web.NewDevice{Certificate: other.DER})
	wantError(t, "another certificate of the name", err, web.ErrConflict)
	if _, err := w.ca.Right(ctx, other.Factory); err == nil {
		t.Error("a refused import left a right")
	}
	_, err = w.Factories.ImportDevice(ctx, alice, web.NewDevice{Endpoint: "urn:dev:1", NoSec: true})
	wantError(t, "the name without certificate", err, web.ErrConflict)

	known := esttest.NewDevice(t, w.factory, "urn:dev:2")
	if _, err := w.Factories.ImportDevice(ctx, alice, web.NewDevice{Certificate: known.DER, NoRight: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ca.Right(ctx, known.Factory); err == nil {
		t.Error("NoRight gave a right")
	}
	if _, err := w.Factories.ImportDevice(ctx, alice, web.NewDevice{Certificate: known.DER}); err != nil {
		t.Fatal(err)
	}
	if right, err := w.ca.Right(ctx, known.Factory); err != nil || right.State != est.RightOpen {
		t.Errorf("right = %+v, %v", right, err)
	}
	plain, err := w.Factories.ImportDevice(ctx, alice, web.NewDevice{Endpoint: "plain", NoSec: true})
	if err != nil || plain.State != web.DeviceExpected {
		t.Errorf("ImportDevice = %+v, %v", plain, err)
	}
}

func TestImportDeviceInput(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	device, second := esttest.NewDevice(t, w.factory, "urn:dev:1"), esttest.NewDevice(t, w.factory, "urn:dev:2")
	stranger := esttest.NewFactory(t, w.clock.Now).Certificate().Raw
	for name, n := range map[string]web.NewDevice{
		"nothing":           {},
		"two devices":       {Certificate: append(toPEM(device.DER), toPEM(second.DER)...)},
		"another authority": {Certificate: append(toPEM(device.DER), toPEM(stranger)...)},
		"garbage above":     {Certificate: append(toPEM(device.DER), toPEM([]byte("hello"))...)},
		"control character": {Endpoint: "a\nb", NoSec: true},
		"garbage":           {Certificate: []byte("hello")},
		"a CA's":            {Certificate: w.factory.Certificate().Raw},
		"our own":           {Certificate: w.ca.Certificate().Raw},
		"another name":      {Certificate: device.DER, Endpoint: "urn:dev:2"},
		"empty tag":         {Certificate: device.DER, Tags: []string{""}},
		"tag":               {Certificate: device.DER, Tags: []string{"a\x00"}},
		"many tags":         {Certificate: device.DER, Tags: make([]string, 1000)},
	} {
		_, err := w.Factories.ImportDevice(t.Context(), alice, n)
		wantError(t, name, err, web.ErrInvalid)
	}
	list, err := w.Devices.ListDevices(t.Context(), web.DeviceFilter{}, web.Page{})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("refused imports left %d devices, %v", len(list.Items), err)
	}
}

// TestImportDeviceOfTransfer keeps operators from opening what a transfer opens
// when the device has committed.
func TestImportDeviceOfTransfer(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	ctx := t.Context()
	coming := esttest.NewDevice(t, w.factory, "coming")
	grant := est.Grant{FactoryDER: coming.DER, Until: w.clock.Now().Add(time.Hour)}
	if _, err := w.ca.GrantRight(ctx, grant); err != nil {
		t.Fatal(err)
	}
	_, err := w.Factories.ImportDevice(ctx, alice, web.NewDevice{Certificate: coming.DER})
	wantError(t, "a coming device", err, web.ErrConflict)
	if right, err := w.ca.Right(ctx, coming.Factory); err != nil || right.State != est.RightClosed {
		t.Errorf("right = %+v, %v", right, err)
	}
	gone := esttest.NewDevice(t, w.factory, "gone")
	w.add(t, fleet.Device{Endpoint: "gone", Factory: fleet.Factory(gone.Factory), Ownership: fleet.Left})
	_, err = w.Factories.ImportDevice(ctx, alice, web.NewDevice{Certificate: gone.DER})
	wantError(t, "a device that left", err, web.ErrConflict)
}
