package esthttp_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"steward/est"
	"steward/est/estcoap"
	"steward/est/esthttp"
	"steward/est/esttest"
	"steward/lwm2m/audit"
)

const (
	endpoint = "urn:dev:ops:32473-demo-00000001"
	gateway  = "gateway-17"
)

// A trail keeps what the server audits.
type trail struct {
	mu   sync.Mutex
	rows []audit.Row
}

func (a *trail) Audit(_ context.Context, r audit.Row) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rows = append(a.rows, r)
	return nil
}

// A world is a CA behind HTTPS, and one device that is registered there.
type world struct {
	clock  *esttest.Clock
	store  *esttest.Store
	ca     *est.CA
	server *httptest.Server
	device esttest.Device
	key    *ecdsa.PrivateKey
	trail  *trail
	log    *bytes.Buffer
}

func newWorld(t *testing.T, more ...func(*est.Options)) *world {
	t.Helper()
	w := &world{
		clock: esttest.NewClock(), store: &esttest.Store{}, key: esttest.Key(t), trail: &trail{}, log: &bytes.Buffer{},
	}
	w.ca = esttest.NewCA(t, "Alpha", w.store, w.clock.Now, more...)
	factory := esttest.NewFactory(t, w.clock.Now)
	w.device = esttest.NewDevice(t, factory, endpoint)
	esttest.Grant(t, w.ca, factory, w.device)
	handler, err := esthttp.NewServer(esthttp.ServerOptions{
		CA: w.ca, Labels: map[string]esthttp.Authority{"dev": w.ca}, Identify: w.ca.Identify, Audit: w.trail,
		Now: w.clock.Now, Log: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewUnstartedServer(handler)
	w.server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	return w
}

// open opens the device's right for any key.
func (w *world) open(t *testing.T) {
	t.Helper()
	if _, err := w.ca.OpenRight(t.Context(), w.device.Factory, est.Hash{}); err != nil {
		t.Fatal(err)
	}
}

// factoryCertificate is what the device shows.
func (w *world) factoryCertificate() *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{w.device.DER}, PrivateKey: w.device.Key}
}

// client returns an HTTP client that shows a certificate, nil for none.
func (w *world) client(cert *tls.Certificate) *http.Client {
	c := w.server.Client()
	transport, _ := c.Transport.(*http.Transport)
	own := transport.Clone()
	if cert != nil {
		own.TLSClientConfig.Certificates = []tls.Certificate{*cert}
	}
	return &http.Client{Transport: own}
}

// An ask is one request. Zero fields are usual.
type ask struct {
	method, path, kind string // POST, simpleenroll, application/pkcs10
	body               []byte
	cert               *tls.Certificate
	user, secret       string
	header             map[string]string
}

func text(der []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(der)) }

// A reply is an answer without its body.
type reply struct {
	Status     string
	StatusCode int
	Header     http.Header
}

// do exchanges one request and returns the answer with its whole body.
func (w *world) do(t *testing.T, a ask) (reply, string) {
	t.Helper()
	if a.method == "" {
		a.method = http.MethodPost
	}
	if a.path == "" {
		a.path = esthttp.Root + "/" + esthttp.Enrol
	}
	if a.kind == "" {
		a.kind = "application/pkcs10"
	}
	req, err := http.NewRequestWithContext(t.Context(), a.method, w.server.URL+a.path, bytes.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", a.kind)
	for name, value := range a.header {
		req.Header.Set(name, value)
	}
	if a.user != "" {
		req.SetBasicAuth(a.user, a.secret)
	}
	res, err := w.client(a.cert).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.Status, res.StatusCode, res.Header}, string(body)
}

// certificates reads a certs-only body in base64.
func certificates(t *testing.T, body string) []*x509.Certificate {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	certs, err := estcoap.DecodeCertsOnly(der)
	if err != nil {
		t.Fatal(err)
	}
	return certs
}

// operational is a certificate that the device got, as it shows it.
func operational(cert *x509.Certificate, key *ecdsa.PrivateKey) *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// issued counts the operational certificates in the inventory.
func (w *world) issued(t *testing.T) int {
	t.Helper()
	records, err := w.ca.List(t.Context(), est.Query{Kind: est.KindOperational})
	if err != nil {
		t.Fatal(err)
	}
	return len(records)
}

// audited counts all audit rows: the authority's and the server's.
func (w *world) audited() int {
	w.trail.mu.Lock()
	defer w.trail.mu.Unlock()
	return len(w.trail.rows) + len(w.store.Audit())
}

type tlsCertificate = tls.Certificate

func hashOf(der []byte) est.Hash { return sha256.Sum256(der) }
