package estcoap_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/est/esttest"
	"steward/lwm2m/coap"
)

const endpoint = "urn:dev:ops:32473-demo-00000001"

// A peer is who the handshake says.
type peer struct{ id coap.Identity }

func (peer) Send([]byte) error         { return nil }
func (p peer) Identity() coap.Identity { return p.id }
func (peer) Addr() netip.AddrPort      { return netip.AddrPort{} }
func (peer) String() string            { return "test peer" }

// A world is a CA behind the protocol and one device that is registered there.
type world struct {
	ca     *est.CA
	server *estcoap.Server
	device esttest.Device
	key    *ecdsa.PrivateKey
	log    bytes.Buffer
}

func newWorld(t *testing.T, now func() time.Time) *world {
	t.Helper()
	w := &world{ca: esttest.NewCA(t, "Alpha", &esttest.Store{}, now), key: esttest.Key(t)}
	factory := esttest.NewFactory(t, now)
	w.device = esttest.NewDevice(t, factory, endpoint)
	esttest.Grant(t, w.ca, factory, w.device)
	var err error
	w.server, err = estcoap.NewServer(estcoap.ServerOptions{
		CA: w.ca, Labels: map[string]estcoap.Authority{"dev": w.ca}, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) open(t *testing.T) {
	t.Helper()
	if _, err := w.ca.OpenRight(t.Context(), w.device.Factory, est.Hash{}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) factory() coap.Identity {
	return coap.Identity{Role: coap.RoleFactory, Name: endpoint, Certificate: w.device.Factory}
}

func (w *world) serve(t *testing.T, id coap.Identity, r coap.Request) *coap.Response {
	t.Helper()
	r.Peer = peer{id}
	out := w.server.ServeCoAP(t.Context(), &r)
	if out == nil {
		t.Fatal("no response")
	}
	return out
}

func path(text string) []string { return strings.Split(strings.TrimPrefix(text, "/"), "/") }

var (
	certsOnly = coap.FormatID(estcoap.FormatCertsOnly)
	pkixCert  = coap.FormatID(estcoap.FormatPKIXCert)
	pkcs10    = coap.FormatID(estcoap.FormatPKCS10)
)

func TestServerCodes(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorld(t, clock.Now)
	w.open(t)
	device := w.factory()
	operational := coap.Identity{Role: coap.RoleOperational, Name: endpoint, Certificate: [32]byte{1}}
	csr := esttest.CSR(t, w.key, endpoint)
	foreign := esttest.CSR(t, w.key, "urn:other")
	tests := []struct {
		name string
		id   coap.Identity
		in   coap.Request
		want string
	}{
		{"crts", device, coap.Request{Method: coap.GET, Path: path("/est/crts")}, "2.05"},
		{"crts, well known", device, coap.Request{Method: coap.GET, Path: path("/.well-known/est/crts")}, "2.05"},
		{"crts, label", device, coap.Request{Method: coap.GET, Path: path("/.well-known/est/dev/crts")}, "2.05"},
		{"crts of an operational client", operational, coap.Request{Method: coap.GET, Path: path("/est/crts")}, "2.05"},
		{
			"crts of a pre-shared key",
			coap.Identity{Role: coap.RolePSK, Name: "x"},
			coap.Request{Method: coap.GET, Path: path("/est/crts")},
			"2.05",
		},
		{"crts of nobody", coap.Identity{}, coap.Request{Method: coap.GET, Path: path("/est/crts")}, "4.01"},
		{
			"crts of a server",
			coap.Identity{Role: coap.RoleServer},
			coap.Request{Method: coap.GET, Path: path("/est/crts")},
			"4.01",
		},
		{"crts, POST", device, coap.Request{Method: coap.POST, Path: path("/est/crts")}, "4.05"},
		{"crts as JSON", device, coap.Request{Method: coap.GET, Path: path("/est/crts"), Accept: coap.FormatID(50)}, "4.06"},
		{"crts as text", device, coap.Request{Method: coap.GET, Path: path("/est/crts"), Accept: coap.FormatID(0)}, "4.06"},
		{"unknown label", device, coap.Request{Method: coap.GET, Path: path("/.well-known/est/no/crts")}, "4.04"},
		{"label below /est", device, coap.Request{Method: coap.GET, Path: path("/est/dev/crts")}, "4.04"},
		{"empty label", device, coap.Request{Method: coap.GET, Path: path("/.well-known/est//crts")}, "4.04"},
		{"too deep", device, coap.Request{Method: coap.GET, Path: path("/.well-known/est/dev/a/crts")}, "4.04"},
		{"root", device, coap.Request{Method: coap.GET, Path: path("/est")}, "4.04"},
		{"unknown function", device, coap.Request{Method: coap.GET, Path: path("/est/cacerts")}, "4.04"},
		{"att", device, coap.Request{Method: coap.GET, Path: path("/est/att")}, "2.05"},
		{"skg by a profile without", device, coap.Request{
			Method: coap.POST, Path: path("/est/skg"), ContentFormat: pkcs10, Payload: csr,
		}, "4.03"},
		{"sen, GET", device, coap.Request{Method: coap.GET, Path: path("/est/sen")}, "4.05"},
		{
			"sen of nobody",
			coap.Identity{},
			coap.Request{Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10, Payload: csr},
			"4.01",
		},
		{
			"sen of an operational client", operational,
			coap.Request{Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10, Payload: csr},
			"4.03",
		},
		{"sen without format", device, coap.Request{Method: coap.POST, Path: path("/est/sen"), Payload: csr}, "4.15"},
		{
			"sen as octets", device,
			coap.Request{Method: coap.POST, Path: path("/est/sen"), ContentFormat: coap.FormatID(42), Payload: csr},
			"4.15",
		},
		{"sen for JSON", device, coap.Request{
			Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10, Accept: coap.FormatID(50), Payload: csr,
		}, "4.06"},
		{
			"sen, garbage", device,
			coap.Request{Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10, Payload: []byte{0x30}},
			"4.00",
		},
		{"sen, nothing", device, coap.Request{Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10}, "4.00"},
		{"sen, oversized", device, coap.Request{
			Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10, Payload: make([]byte, est.MaxCSR+1),
		}, "4.13"},
		{
			"sen, foreign name", device,
			coap.Request{Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10, Payload: foreign},
			"4.03",
		},
		{"sen", device, coap.Request{Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10, Payload: csr}, "2.04"},
		{"sen, another key", device, coap.Request{
			Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10,
			Payload: esttest.CSR(t, esttest.Key(t), endpoint),
		}, "4.03"},
		{
			"sren of a factory client", device,
			coap.Request{Method: coap.POST, Path: path("/est/sren"), ContentFormat: pkcs10, Payload: csr},
			"4.03",
		},
		{
			"sren by a certificate of nobody", operational,
			coap.Request{Method: coap.POST, Path: path("/est/sren"), ContentFormat: pkcs10, Payload: csr},
			"4.03",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := w.serve(t, tt.id, tt.in)
			if out.Code.String() != tt.want {
				t.Errorf("ServeCoAP = %s %q, want %s", out.Code, out.Payload, tt.want)
			}
		})
	}
	if text := w.log.String(); !strings.Contains(text, "level=WARN") || !strings.Contains(text, "peer=\"test peer\"") {
		t.Errorf("log:\n%s", text)
	}
}

func TestServerFormats(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorld(t, clock.Now)
	w.open(t)
	crts := w.serve(t, w.factory(), coap.Request{Method: coap.GET, Path: path("/est/crts")})
	chain, err := estcoap.DecodeCertsOnly(crts.Payload)
	if err != nil || crts.ContentFormat != certsOnly || len(chain) != 2 || !chain[0].Equal(w.ca.Certificate()) {
		t.Errorf("crts: %v, %d certificates, %v", crts.ContentFormat, len(chain), err)
	}
	one := w.serve(t, w.factory(), coap.Request{Method: coap.GET, Path: path("/est/crts"), Accept: pkixCert})
	if one.ContentFormat != pkixCert || !bytes.Equal(one.Payload, w.ca.Certificate().Raw) {
		t.Errorf("crts as 287: %v", one.ContentFormat)
	}
	csr := esttest.CSR(t, w.key, endpoint)
	ask := coap.Request{Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10, Payload: csr, Accept: pkixCert}
	small := w.serve(t, w.factory(), ask)
	ask.Accept = certsOnly
	whole := w.serve(t, w.factory(), ask)
	certs, err := estcoap.DecodeCertsOnly(whole.Payload)
	if err != nil || len(certs) != 1 || !bytes.Equal(certs[0].Raw, small.Payload) || whole.ContentFormat != certsOnly {
		t.Errorf("281 and 287 differ: %v", err)
	}
	t.Logf("bytes: request %d, as 287 %d, as 281 %d, crts %d",
		len(csr), len(small.Payload), len(whole.Payload), len(crts.Payload))
}

func TestCrtsETag(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorld(t, clock.Now)
	first := w.serve(t, w.factory(), coap.Request{Method: coap.GET, Path: path("/est/crts")})
	again := w.serve(t, w.factory(), coap.Request{Method: coap.GET, Path: path("/est/crts"), ETag: first.ETag})
	if len(first.ETag) != 8 || again.Code != coap.Valid || len(again.Payload) > 0 {
		t.Errorf("crts with its ETag = %s, %d bytes", again.Code, len(again.Payload))
	}
	other := w.serve(t, w.factory(), coap.Request{Method: coap.GET, Path: path("/est/crts"), ETag: []byte{1}})
	if other.Code != coap.Content {
		t.Errorf("crts with another ETag = %s", other.Code)
	}
}

func TestPendingTellsWhen(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorld(t, clock.Now)
	out := w.serve(t, w.factory(), coap.Request{
		Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10, Payload: esttest.CSR(t, w.key, endpoint),
	})
	age, ok := out.MaxAge.Seconds()
	if out.Code != coap.ServiceUnavailable || !ok || age != 30 {
		t.Errorf("sen of a closed right = %s, Max-Age %d %v, want 5.03 and 30", out.Code, age, ok)
	}
}

// broken is an authority whose store is gone.
type broken struct{ *est.CA }

var errStore = errors.New("disk on fire")

func (broken) Enrol(context.Context, est.Request) (est.Issued, error) { return est.Issued{}, errStore }

func TestInternalErrorSaysNothing(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorld(t, clock.Now)
	s, err := estcoap.NewServer(estcoap.ServerOptions{CA: broken{w.ca}})
	if err != nil {
		t.Fatal(err)
	}
	out := s.ServeCoAP(t.Context(), &coap.Request{
		Peer: peer{w.factory()}, Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10,
	})
	if out.Code != coap.InternalServerError || strings.Contains(string(out.Payload), "fire") {
		t.Errorf("ServeCoAP = %s %q", out.Code, out.Payload)
	}
}

func TestNewServerRefuses(t *testing.T) {
	clock := esttest.NewClock()
	ca := esttest.NewCA(t, "Alpha", &esttest.Store{}, clock.Now)
	for _, o := range []estcoap.ServerOptions{
		{},
		{CA: ca, Labels: map[string]estcoap.Authority{"": ca}},
		{CA: ca, Labels: map[string]estcoap.Authority{"sen": ca}},
		{CA: ca, Labels: map[string]estcoap.Authority{"x": nil}},
		{CA: ca, Labels: map[string]estcoap.Authority{"Upper": ca}},
		{CA: ca, Labels: map[string]estcoap.Authority{"a/b": ca}},
		{CA: ca, Labels: map[string]estcoap.Authority{strings.Repeat("x", 33): ca}},
		{CA: ca, Labels: many(ca)},
	} {
		if _, err := estcoap.NewServer(o); !errors.Is(err, estcoap.ErrOptions) {
			t.Errorf("NewServer(%v) = %v, want ErrOptions", o.Labels, err)
		}
	}
}

var _ estcoap.Authority = (*est.CA)(nil)

// parse is for tests that need a certificate and not an error.
func parse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// many returns more labels than a Server has room for.
func many(ca estcoap.Authority) map[string]estcoap.Authority {
	out := map[string]estcoap.Authority{}
	for i := range 17 {
		out[fmt.Sprintf("label-%d", i)] = ca
	}
	return out
}
