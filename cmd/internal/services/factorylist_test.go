package services_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/fleet"
	"steward/web"
)

func TestImportDevices(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	ctx := t.Context()
	good := esttest.NewDevice(t, w.factory, "line-1")
	stranger := esttest.NewDevice(t, esttest.NewFactory(t, w.clock.Now), "line-2")
	list := []web.NewDevice{
		{Certificate: good.DER, KeyOrigin: "device", Tags: []string{"batch:7"}},
		{Certificate: stranger.DER},
		{Certificate: []byte{1}},
		{Certificate: good.DER, KeyOrigin: "moon"},
		{Certificate: good.DER},
		{Endpoint: "plain"},
	}
	out, err := w.Factories.ImportDevices(ctx, alice, list)
	if err != nil || len(out) != len(list) {
		t.Fatalf("%+v, %v", out, err)
	}
	for i, good := range []bool{true, false, false, false, true, true} {
		if (out[i].Error == "") != good || (out[i].ID != "") != good {
			t.Errorf("device %d: %+v, want good %v", i, out[i], good)
		}
	}
	if out[0].EnrollURI != "coaps://127.0.0.1:5684" || out[0].Endpoint != "line-1" || out[4].ID != out[0].ID {
		t.Errorf("first: %+v, again: %+v", out[0], out[4])
	}
	if out[5].EnrollURI != "" {
		t.Errorf("a device without certificate enrols at %q", out[5].EnrollURI)
	}
	d, err := w.Devices.Device(ctx, out[0].ID)
	if err != nil || d.KeyOrigin != "device" {
		t.Errorf("key made by %q, %v", d.KeyOrigin, err)
	}
	told := []web.NewDevice{{Certificate: good.DER, KeyOrigin: "ca"}}
	if _, err := w.Factories.ImportDevices(ctx, alice, told); err != nil {
		t.Fatal(err)
	}
	if d, err = w.Devices.Device(ctx, out[0].ID); err != nil || d.KeyOrigin != "ca" {
		t.Errorf("key made by %q, %v, as told anew", d.KeyOrigin, err)
	}
	if row := w.audited(t, "key_origin."); row.Actor != "operator:alice" || row.Before != "device" || row.After != "ca" {
		t.Errorf("audit row = %+v", row.Row)
	}
	for _, list := range [][]web.NewDevice{nil, make([]web.NewDevice, web.MaxImport+1)} {
		_, err := w.Factories.ImportDevices(ctx, alice, list)
		wantError(t, "size of the list", err, web.ErrInvalid)
	}
}

// issued makes a certificate under parent, or a root without one.
func issued(t *testing.T, c *x509.Certificate, parent *x509.Certificate, key crypto.PublicKey, by crypto.Signer,
) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key, by)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// hardwareModule is a subjectAltName with a hardwareModuleName (RFC 4108 §5), as
// IEEE 802.1AR has it.
func hardwareModule(t *testing.T, serial string) pkix.Extension {
	t.Helper()
	name, err := asn1.MarshalWithParams(struct {
		Type   asn1.ObjectIdentifier
		Serial []byte
	}{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 9}, []byte(serial)}, "explicit,tag:0")
	if err != nil {
		t.Fatal(err)
	}
	value, err := asn1.Marshal([]any{struct {
		Type asn1.ObjectIdentifier
		Name asn1.RawValue
	}{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 4}, asn1.RawValue{FullBytes: name}}})
	if err != nil {
		t.Fatal(err)
	}
	const otherName = 0xa0 // [0] IMPLICIT, in place of SEQUENCE
	value[2] = otherName
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: false, Value: value}
}

// TestIDevID lets a device in by its IDevID: a certificate of its manufacturer, with
// a serial number for a subject, an intermediate CA above it, and no end.
func TestIDevID(t *testing.T) {
	w := newWorld(t)
	naming, err := fleet.NewNaming([]fleet.NameSource{fleet.NameHardware}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.options.Naming = naming
	w.build(t, w.options)
	ctx, now := t.Context(), w.clock.Now()
	rootKey, caKey, key := esttest.Key(t), esttest.Key(t), esttest.Key(t)
	forever := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) // 802.1AR §8.7
	authority := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{"Maker"}, CommonName: name}, NotBefore: now,
			NotAfter: forever, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
	}
	root := issued(t, authority("Maker root"), nil, rootKey.Public(), rootKey)
	ca := issued(t, authority("Maker CA"), root, caKey.Public(), rootKey)
	leaf := issued(t, &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{Organization: []string{"Maker"}, SerialNumber: "PID:X SN:0042"},
		NotBefore: now, NotAfter: forever, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{hardwareModule(t, "SN-0042")},
	}, ca, key.Public(), caKey)
	if _, err := w.Factories.AddFactoryAuthority(ctx, alice, root.Raw); err != nil {
		t.Fatal(err)
	}
	out, err := w.Factories.ImportDevices(ctx, alice, []web.NewDevice{
		{Certificate: toPEM(leaf.Raw, ca.Raw), KeyOrigin: "device"}, {Certificate: leaf.Raw},
	})
	if err != nil || out[0].Error != "" || out[0].Endpoint != "SN-0042" {
		t.Fatalf("%+v, %v", out, err)
	}
	if out[1].Error == "" {
		t.Error("accepted without the CA between")
	}
	device := esttest.Device{Endpoint: "SN-0042", Key: key, DER: leaf.Raw, Factory: sha256.Sum256(leaf.Raw)}
	if _, err := w.ca.Enrol(ctx, est.Request{
		Client: device.Client(), CSR: esttest.CSR(t, esttest.Key(t), "SN-0042"),
	}); err != nil {
		t.Errorf("enrol: %v", err)
	}
}
