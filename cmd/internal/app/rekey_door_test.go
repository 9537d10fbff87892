package app_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/bundle"
	"steward/est"
	"steward/est/estcoap"
	"steward/est/esttest"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
	"steward/transfer"
)

// trust lists the permanent CA.
func (w *rekeyWorld) trust(ca *est.CA) {
	w.t.Helper()
	root, _ := pem.Decode([]byte(w.permanent.Root()))
	if err := ca.TrustFactoryCA(w.t.Context(), root.Bytes); err != nil {
		w.t.Fatal(err)
	}
}

func leaf(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// operational gets a device its operational certificate of a CA.
func (w *rekeyWorld) operational(ca *est.CA, b *bundle.Bundle) *tls.Certificate {
	t, ctx := w.t, w.t.Context()
	t.Helper()
	w.trust(ca)
	_, chain, err := b.FactoryIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.GrantRight(ctx, est.Grant{FactoryDER: chain[0]}); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.OpenRight(ctx, factoryOf(b), est.Hash{}); err != nil {
		t.Fatal(err)
	}
	key := esttest.Key(t)
	issued, err := ca.Enrol(ctx, est.Request{
		Client: est.Client{Role: est.RoleFactory, Certificate: factoryOf(b), Name: b.Endpoint},
		CSR:    esttest.CSR(t, key, b.Endpoint),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{issued.DER}, PrivateKey: key}
}

// made makes a device whose provider is nobody's concern.
func (w *rekeyWorld) made(name string) (*bundle.Bundle, *tls.Certificate) {
	w.t.Helper()
	b, err := w.permanent.Make(w.t.Context(), template(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	key, chain, err := b.FactoryIdentity()
	if err != nil {
		w.t.Fatal(err)
	}
	return b, &tls.Certificate{Certificate: chain, PrivateKey: key}
}

// try asks the permanent CA by a certificate. The code is that of its answer; 0: the
// handshake was refused.
func (w *rekeyWorld) try(by *tls.Certificate, ask func(context.Context, *estcoap.Client) error) coap.Code {
	t := w.t
	t.Helper()
	e := device(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := transport.Dial(ctx, transport.DialOptions{URI: w.uri, Engine: e, Client: dtls.ClientOptions{
		Certificate: by, Verify: func([][]byte) error { return nil },
	}})
	if errors.Is(err, dtls.ErrHandshake) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	c, err := estcoap.NewClient(estcoap.ClientOptions{Engine: e, Peer: conn})
	if err != nil {
		t.Fatal(err)
	}
	err = ask(ctx, c)
	if status, ok := errors.AsType[*estcoap.StatusError](err); ok {
		return status.Code
	}
	if err != nil {
		t.Fatal(err)
	}
	return coap.Changed
}

func reenrol(csr []byte) func(context.Context, *estcoap.Client) error {
	return func(ctx context.Context, c *estcoap.Client) error {
		_, err := c.Reenrol(ctx, csr)
		return err
	}
}

func rekeyRequest(t *testing.T, key crypto.Signer, old *tls.Certificate, mandate []byte) []byte {
	t.Helper()
	csr, err := est.NewRekeyCSR(key, old.PrivateKey.(*ecdsa.PrivateKey), old.Certificate[0], mandate)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// TestRekeyDoor tries the permanent CA by what does not open it.
func TestRekeyDoor(t *testing.T) {
	w := newRekeyWorld(t)
	alpha := w.provider.app.CA()
	b, factory := w.made("urn:dev:door:1")
	other, _ := w.made("urn:dev:door:2")
	operational := w.operational(alpha, b)
	stranger := esttest.NewCA(t, "Stranger", &esttest.Store{}, time.Now)
	key := esttest.Key(t)
	good := rekeyRequest(t, key, factory, nil)
	wrong := &tls.Certificate{Certificate: factory.Certificate, PrivateKey: esttest.Key(t)}
	enrol := func(ctx context.Context, c *estcoap.Client) error { _, err := c.Enrol(ctx, good); return err }
	for _, tt := range []struct {
		name string
		by   *tls.Certificate
		ask  func(context.Context, *estcoap.Client) error
		want coap.Code
	}{
		{"certificate of a stranger's CA", w.operational(stranger, b), reenrol(good), 0},
		{"another device's certificate", w.operational(alpha, other), reenrol(good), coap.Forbidden},
		{"the factory certificate", factory, reenrol(good), coap.Forbidden},
		{"/sen", operational, enrol, coap.Forbidden},
		{"/sen by the factory certificate", factory, enrol, coap.Forbidden},
		{"proof by another key", operational, reenrol(rekeyRequest(t, key, wrong, nil)), coap.BadRequest},
		{"no proof", operational, reenrol(esttest.CSR(t, key, b.Endpoint)), coap.BadRequest},
		{"the device", operational, reenrol(good), coap.Changed},
		{"the device again", operational, reenrol(good), coap.Changed},
		{"a thief with both old keys", operational, reenrol(rekeyRequest(t, esttest.Key(t), factory, nil)), coap.Forbidden},
	} {
		if got := w.try(tt.by, tt.ask); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	next, err := w.permanent.CA().RekeyFactory(t.Context(), est.FactoryRekey{
		Client: est.Client{Role: est.RoleOperational, Certificate: est.Hash{1}, Name: b.Endpoint}, CSR: good,
	})
	if err != nil {
		t.Fatal(err)
	}
	crts := func(ctx context.Context, c *estcoap.Client) error { _, err := c.Cacerts(ctx); return err }
	if got := w.try(factory, crts); got != coap.Changed { // it is in force until the other is used
		t.Errorf("the old certificate: %v", got)
	}
	for range 2 {
		if got := w.try(&tls.Certificate{Certificate: [][]byte{next.DER}, PrivateKey: key}, crts); got != coap.Changed {
			t.Errorf("the new certificate: %v", got)
		}
	}
	if got := w.try(factory, crts); got != 0 {
		t.Errorf("the old certificate afterwards: %v, want no handshake", got)
	}
	if got := w.try(operational, reenrol(good)); got != coap.Forbidden {
		t.Errorf("the same request afterwards: %v, want 4.03", got)
	}
}

// TestRekeyNeedsMandate: where service users are named, the device needs their order to
// the provider whose certificate it shows.
func TestRekeyNeedsMandate(t *testing.T) {
	user := transfer.Signer{Key: esttest.Key(t)}
	cert, err := est.NewRoot(est.RootOptions{Name: "User", Signer: user.Key, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	user.Certificate = cert.Raw
	file := filepath.Join(t.TempDir(), "users.pem")
	if err := os.WriteFile(file, []byte(bundle.EncodeCertificate(cert.Raw)), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newRekeyWorld(t, func(o *app.RekeyOptions) { o.ServiceUser = file })
	b, factory := w.made("urn:dev:mandate")
	operational := w.operational(w.provider.app.CA(), b)
	named, now := transfer.Hash(factoryOf(b)), time.Now()
	mandate := func(to string, by transfer.Signer, ends time.Time, devices ...transfer.Hash) []byte {
		raw, err := transfer.Mandate{
			Issuer: "User", IssuedAt: transfer.SecondsOf(now.Add(-time.Hour)), Expires: transfer.SecondsOf(ends),
			ID: make([]byte, 16), MandateTerms: transfer.MandateTerms{
				From: "Omega", To: to, Window: transfer.NewWindow(now.Add(-time.Hour), now.Add(time.Hour)),
				Devices: transfer.Devices{Factory: devices},
			},
		}.Sign(by)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	stranger := transfer.Signer{Key: esttest.Key(t), Certificate: cert.Raw}
	key, later := esttest.Key(t), now.Add(time.Hour)
	for _, tt := range []struct {
		name    string
		mandate []byte
		want    coap.Code
	}{
		{"none", nil, coap.Forbidden},
		{"no mandate", []byte("order"), coap.Forbidden},
		{"to another provider", mandate("Beta", user, later, named), coap.Forbidden},
		{"for another device", mandate("Alpha", user, later, transfer.Hash{1}), coap.Forbidden},
		{"over", mandate("Alpha", user, now.Add(-time.Minute), named), coap.Forbidden},
		{"by another key", mandate("Alpha", stranger, later, named), coap.Forbidden},
		{"to Alpha", mandate("Alpha", user, later, named), coap.Changed},
	} {
		if got := w.try(operational, reenrol(rekeyRequest(t, key, factory, tt.mandate))); got != tt.want {
			t.Errorf("mandate %s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
