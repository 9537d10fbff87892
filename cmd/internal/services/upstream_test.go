package services_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/est/esttest"
	"steward/web"
)

// An office is an external CA that people go to.
type office struct{ ca *est.CA }

func (o office) Anchors() []*x509.Certificate { return []*x509.Certificate{o.ca.Root()} }

func (office) Certify(context.Context, est.Errand) ([][]byte, error) {
	return nil, &est.PendingError{Retry: time.Minute}
}

// answer makes what people bring back: PKCS#7 or certificates, in PEM.
func (o office) answer(t *testing.T, request string, packed bool) string {
	t.Helper()
	block, _ := pem.Decode([]byte(request))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := o.ca.MakePassword(t.Context(), est.NewPassword{Name: csr.Subject.CommonName})
	if err != nil {
		t.Fatal(err)
	}
	out, err := o.ca.EnrolByPassword(t.Context(), p, est.Request{CSR: block.Bytes})
	if err != nil {
		t.Fatal(err)
	}
	var certs []*x509.Certificate
	var text strings.Builder
	for _, der := range append(out.Chain, out.DER) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, c)
		text.WriteString(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	}
	if !packed {
		return "what came by mail:\n" + text.String()
	}
	der, err := estcoap.EncodeCertsOnly(certs...)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: der}))
}

// TestUpstreamRequests: people see what waits for an external CA, and bring back what
// it made.
func TestUpstreamRequests(t *testing.T) {
	w := newWorld(t)
	out := office{esttest.NewCA(t, "Office", &esttest.Store{}, w.clock.Now)}
	w.ca = esttest.NewCA(t, "Alpha", w.db.Inventory(), w.clock.Now, func(o *est.Options) {
		o.Upstream, o.Errands = out, w.db.Inventory()
	})
	w.options.CA = w.ca
	w.build(t, w.options)
	ask := func(name string) func() error {
		device := esttest.NewDevice(t, w.factory, name)
		esttest.Grant(t, w.ca, w.factory, device)
		if _, err := w.ca.OpenRight(t.Context(), device.Factory, est.Hash{}); err != nil {
			t.Fatal(err)
		}
		csr := esttest.CSR(t, esttest.Key(t), name)
		again := func() error {
			_, err := w.ca.Enrol(t.Context(), est.Request{Client: device.Client(), CSR: csr})
			return err
		}
		if err := again(); !errors.Is(err, est.ErrPending) {
			t.Fatalf("Enrol = %v, want ErrPending", err)
		}
		return again
	}
	first, second := ask("urn:dev:1"), ask("urn:dev:2")
	all, err := w.Upstream.ListUpstream(t.Context(), "waiting", web.Page{Size: 1})
	if err != nil || len(all.Items) != 1 || all.Items[0].Name != "urn:dev:2" || all.Next == "" {
		t.Fatalf("ListUpstream = %+v, %v", all, err)
	}
	rest, err := w.Upstream.ListUpstream(t.Context(), "waiting", web.Page{Size: 1, After: all.Next})
	if err != nil || len(rest.Items) != 1 || rest.Next != "" {
		t.Fatalf("ListUpstream = %+v, %v", rest, err)
	}
	for i, id := range []string{rest.Items[0].ID, all.Items[0].ID} {
		d, err := w.Upstream.UpstreamRequest(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.Upstream.ImportUpstream(t.Context(), alice, id, out.answer(t, d.Request, i == 1))
		if err != nil || got.State != "ready" {
			t.Errorf("ImportUpstream = %+v, %v", got, err)
		}
		_, err = w.Upstream.ImportUpstream(t.Context(), alice, id, out.answer(t, d.Request, i == 1))
		if !errors.Is(err, web.ErrConflict) {
			t.Errorf("ImportUpstream again = %v, want ErrConflict", err)
		}
		if d, err = w.Upstream.UpstreamRequest(t.Context(), id); err != nil || !strings.Contains(d.Answer, "CERTIFICATE") {
			t.Errorf("UpstreamRequest = %+v, %v", d, err)
		}
	}
	if err := errors.Join(first(), second()); err != nil {
		t.Errorf("Enrol = %v", err)
	}
}

func TestUpstreamRequestsRefuse(t *testing.T) {
	w := newWorld(t)
	out := office{esttest.NewCA(t, "Office", &esttest.Store{}, w.clock.Now)}
	w.ca = esttest.NewCA(t, "Alpha", w.db.Inventory(), w.clock.Now, func(o *est.Options) {
		o.Upstream, o.Errands = out, w.db.Inventory()
	})
	w.options.CA = w.ca
	w.build(t, w.options)
	p, _, err := w.ca.MakePassword(t.Context(), est.NewPassword{Name: "gateway-1"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.ca.EnrolByPassword(t.Context(), p, est.Request{CSR: esttest.CSR(t, esttest.Key(t), "gateway-1")})
	if !errors.Is(err, est.ErrPending) {
		t.Fatal(err)
	}
	all, err := w.Upstream.ListUpstream(t.Context(), "", web.Page{})
	if err != nil || len(all.Items) != 1 {
		t.Fatalf("ListUpstream = %+v, %v", all, err)
	}
	id := all.Items[0].ID
	root := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: out.ca.Root().Raw}))
	for name, text := range map[string]string{
		"nothing": "", "no PEM": "x", "a key": "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
		"broken": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "another's": root,
		"too many": strings.Repeat(root, 9),
	} {
		if _, err := w.Upstream.ImportUpstream(t.Context(), alice, id, text); !errors.Is(err, web.ErrInvalid) {
			t.Errorf("%s: ImportUpstream = %v, want ErrInvalid", name, err)
		}
	}
	decide := func(id string, action web.UpstreamAction) error {
		_, err := w.Upstream.DecideUpstream(t.Context(), alice, id, web.UpstreamDecision{Action: action, Reason: "seen"})
		return err
	}
	for _, tt := range []struct {
		id     string
		action web.UpstreamAction
		want   error
	}{
		{id, "dance", web.ErrInvalid},
		{"nothing", web.UpstreamRefuse, web.ErrNotFound},
		{id, web.UpstreamRetry, web.ErrConflict},
		{id, web.UpstreamRefuse, nil},
		{id, web.UpstreamRetry, nil},
		{id, web.UpstreamWithdraw, nil},
		{id, web.UpstreamWithdraw, web.ErrConflict},
	} {
		if err := decide(tt.id, tt.action); !errors.Is(err, tt.want) {
			t.Errorf("DecideUpstream(%s, %s) = %v, want %v", tt.id, tt.action, err, tt.want)
		}
	}
	if _, err := w.Upstream.ListUpstream(t.Context(), "lost", web.Page{}); !errors.Is(err, web.ErrInvalid) {
		t.Errorf("ListUpstream of no state = %v, want ErrInvalid", err)
	}
	if _, err := w.Upstream.UpstreamRequest(t.Context(), "nothing"); !errors.Is(err, web.ErrNotFound) {
		t.Errorf("UpstreamRequest = %v, want ErrNotFound", err)
	}
	_, err = w.ca.EnrolByPassword(t.Context(), p, est.Request{CSR: esttest.CSR(t, esttest.Key(t), "gateway-1")})
	if !errors.Is(err, est.ErrPending) {
		t.Fatal(err)
	}
	w.clock.Advance(11 * time.Minute)
	o, err := w.Overview.Overview(t.Context(), w.clock.Now())
	last := o.Notices[len(o.Notices)-1].Text
	if err != nil || !strings.Contains(last, "1 device waits for a certificate of the external CA") {
		t.Errorf("notices %+v, %v", o.Notices, err)
	}
}
