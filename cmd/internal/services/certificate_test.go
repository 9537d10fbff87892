package services_test

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/fleet"
	"steward/web"
)

func id(h est.Hash) string { return hex.EncodeToString(h[:]) }

func toPEM(ders ...[]byte) (out []byte) {
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out
}

// trust lists the factory.
func (w *world) trust(t *testing.T) {
	t.Helper()
	if _, err := w.Factories.AddFactoryAuthority(t.Context(), alice, toPEM(w.factory.Certificate().Raw)); err != nil {
		t.Fatal(err)
	}
}

// enrolled imports a device of the factory and lets it enrol.
func (w *world) enrolled(t *testing.T, endpoint string) (web.Device, est.Issued) {
	t.Helper()
	device := esttest.NewDevice(t, w.factory, endpoint)
	d, err := w.Factories.ImportDevice(t.Context(), alice, web.NewDevice{Certificate: device.DER})
	if err != nil {
		t.Fatal(err)
	}
	csr, err := est.NewCSR(esttest.Key(t), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := w.ca.Enrol(t.Context(), est.Request{Client: device.Client(), CSR: csr})
	if err != nil {
		t.Fatal(err)
	}
	return d, issued
}

func TestCertificates(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	ctx := t.Context()
	const n = 12
	var last web.Device
	var issued est.Issued
	for i := range n {
		last, issued = w.enrolled(t, fmt.Sprintf("urn:dev:%d", i))
	}
	const own = 3 // root, issuing CA and the factory's
	seen := map[string]bool{}
	p := web.Page{Size: 4}
	for {
		list, err := w.Certificates.ListCertificates(ctx, web.CertificateFilter{}, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list.Items {
			seen[c.ID] = true
		}
		if p.After = list.Next; p.After == "" {
			break
		}
	}
	if len(seen) != n+own {
		t.Errorf("paging saw %d certificates, want %d", len(seen), n+own)
	}
	stolen := web.Revocation{Reason: web.ReasonCompromise}
	if _, err := w.Certificates.Revoke(ctx, alice, id(issued.Hash), stolen); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		f    web.CertificateFilter
		want int
	}{
		{"live", web.CertificateFilter{State: web.CertificateLive}, n + own - 1},
		{"revoked", web.CertificateFilter{State: web.CertificateRevoked}, 1},
		{"expired", web.CertificateFilter{State: web.CertificateExpired}, 0},
		{"device", web.CertificateFilter{Device: last.ID}, 1},
		{"device by endpoint", web.CertificateFilter{Device: "ep:" + last.Endpoint}, 1},
		{"device, live", web.CertificateFilter{Device: last.ID, State: web.CertificateLive}, 0},
		{"text", web.CertificateFilter{Text: "DEV:1"}, 3},
		{"serial", web.CertificateFilter{Text: issued.Serial}, 1},
		{"wildcards are text", web.CertificateFilter{Text: "%"}, 0},
	} {
		list, err := w.Certificates.ListCertificates(ctx, c.f, web.Page{Size: 200})
		if err != nil || len(list.Items) != c.want {
			t.Errorf("%s: %d certificates, %v, want %d", c.name, len(list.Items), err, c.want)
		}
	}
	_, err := w.Certificates.ListCertificates(ctx, web.CertificateFilter{State: "odd"}, web.Page{})
	wantError(t, "state odd", err, web.ErrInvalid)

	detail, err := w.Certificates.Certificate(ctx, id(issued.Hash))
	if err != nil || detail.Key != "ECDSA P-256" || detail.Device != last.ID || detail.Issuer != "Alpha CA" ||
		detail.State != web.CertificateRevoked || detail.Reason != web.ReasonCompromise || detail.RevokedAt.IsZero() {
		t.Errorf("detail = %+v, %v", detail, err)
	}
	if block, _ := pem.Decode([]byte(detail.PEM)); block == nil || string(block.Bytes) != string(issued.DER) {
		t.Error("the PEM is not the certificate")
	}
	if detail.DERBytes != len(issued.DER) || detail.C509Bytes == 0 || detail.C509Bytes > detail.DERBytes/2+16 {
		t.Errorf("sizes: DER %d, C509 %d bytes, want %d and about half", detail.DERBytes, detail.C509Bytes, len(issued.DER))
	}
	w.clock.Advance(400 * 24 * time.Hour)
	list, err := w.Certificates.ListCertificates(ctx, web.CertificateFilter{State: web.CertificateExpired}, web.Page{})
	if err != nil || len(list.Items) != n-1 {
		t.Errorf("after a year: %d expired, %v", len(list.Items), err)
	}
}

func TestRevoke(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	ctx := t.Context()
	d, issued := w.enrolled(t, "urn:dev:1")
	w.online(t, fleet.Device{ID: fleet.ID(d.ID), Endpoint: "urn:dev:1"})
	for _, c := range w.ca.Chain() {
		_, err := w.Certificates.Revoke(ctx, alice, id(hash(c.Raw)), web.Revocation{Reason: web.ReasonCompromise})
		wantError(t, "Revoke "+c.Subject.CommonName, err, web.ErrConflict)
	}
	_, err := w.Certificates.Revoke(ctx, alice, id(issued.Hash), web.Revocation{Reason: "certificateHold"})
	wantError(t, "certificateHold", err, web.ErrInvalid)
	_, err = w.Certificates.Revoke(ctx, alice, id(issued.Hash), web.Revocation{Reason: web.ReasonCessation, Why: "a\x00"})
	wantError(t, "comment", err, web.ErrInvalid)
	if len(w.dropped) != 0 {
		t.Error("a refused revocation dropped sessions")
	}
	sold := web.Revocation{Reason: web.ReasonCessation, Why: "sold"}
	got, err := w.Certificates.Revoke(ctx, alice, id(issued.Hash), sold)
	if err != nil || got.State != web.CertificateRevoked || got.Reason != web.ReasonCessation {
		t.Fatalf("Revoke = %+v, %v", got, err)
	}
	if len(w.dropped) != 1 || w.dropped[0] != issued.Hash {
		t.Errorf("dropped = %x", w.dropped)
	}
	if row := w.audited(t, "certificate.revoke"); row.Actor != "operator:alice" {
		t.Errorf("audit row = %+v", row.Row)
	}
	if now, err := w.Devices.Device(ctx, d.ID); err != nil || now.Registration != nil {
		t.Errorf("still registered: %+v, %v", now.Registration, err)
	}
	_, err = w.Certificates.Revoke(ctx, alice, id(issued.Hash), web.Revocation{Reason: web.ReasonCessation})
	wantError(t, "Revoke again", err, web.ErrConflict)
	_, err = w.Certificates.Revoke(ctx, alice, id(hash([]byte("x"))), web.Revocation{Reason: web.ReasonCessation})
	wantError(t, "Revoke unknown", err, web.ErrNotFound)
}

func TestAuthorities(t *testing.T) {
	w := newWorld(t)
	chain, err := w.Certificates.Authorities(t.Context())
	if err != nil || len(chain) != 2 || chain[0].Subject != "Alpha CA" || chain[1].Subject != "Alpha root" {
		t.Fatalf("Authorities = %+v, %v", chain, err)
	}
	for _, c := range chain {
		block, _ := pem.Decode([]byte(c.PEM))
		if block == nil {
			t.Fatalf("PEM = %q", c.PEM)
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err != nil || !cert.IsCA {
			t.Errorf("%s is no CA: %v", c.Subject, err)
		}
	}
	w.clock.Advance(10 * 365 * 24 * time.Hour)
	overview, err := w.Overview.Overview(t.Context(), w.clock.Now())
	if err != nil || len(overview.Notices) == 0 || overview.Notices[0].Level != web.LevelBad {
		t.Errorf("notices = %+v, %v", overview.Notices, err)
	}
}
