package esthttp_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/est/esthttp"
	"steward/est/esttest"
)

// asking returns a client of the world's server.
func (w *world) asking(t *testing.T, cert *tls.Certificate, user, secret string) *esthttp.Client {
	t.Helper()
	c, err := esthttp.NewClient(esthttp.ClientOptions{
		URL: w.server.URL + esthttp.Root, HTTP: w.client(cert), User: user, Password: est.Secret(secret),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClient(t *testing.T) {
	w := newWorld(t)
	c := w.asking(t, w.factoryCertificate(), "", "")
	if certs, err := c.Cacerts(t.Context()); err != nil || len(certs) != 2 || !certs[1].Equal(w.ca.Root()) {
		t.Fatalf("Cacerts: %d, %v", len(certs), err)
	}
	csr := esttest.CSR(t, w.key, endpoint)
	pending := (*est.PendingError)(nil)
	if _, err := c.Enrol(t.Context(), csr); !errors.As(err, &pending) || pending.Retry != 30*time.Second {
		t.Fatalf("Enrol = %v, want to wait 30 s", err)
	}
	w.open(t)
	certs, err := c.Enrol(t.Context(), csr)
	if err != nil || len(certs) != 1 || certs[0].Subject.CommonName != endpoint {
		t.Fatalf("Enrol: %d, %v", len(certs), err)
	}
	refused := (*esthttp.StatusError)(nil)
	_, err = c.Enrol(t.Context(), esttest.CSR(t, w.key, gateway))
	if !errors.As(err, &refused) || refused.Status != http.StatusForbidden || !strings.Contains(refused.Text, "name") {
		t.Errorf("Enrol in another's name = %v, want 403 in words", err)
	}
}

func TestNewClient(t *testing.T) {
	for _, o := range []esthttp.ClientOptions{
		{},
		{URL: "https://ca.example/.well-known/est"},
		{URL: "http://ca.example/.well-known/est", HTTP: http.DefaultClient},
		{URL: "https://user@ca.example/.well-known/est", HTTP: http.DefaultClient},
		{URL: "https://ca.example/.well-known/est?x", HTTP: http.DefaultClient},
		{URL: "https://ca.example/.well-known/est", HTTP: http.DefaultClient, User: "ann"},
		{URL: "https://ca.example/.well-known/est", HTTP: http.DefaultClient, Password: est.Secret("x")},
	} {
		if _, err := esthttp.NewClient(o); !errors.Is(err, esthttp.ErrOptions) {
			t.Errorf("NewClient(%q) = %v, want ErrOptions", o.URL, err)
		}
	}
	if _, err := esthttp.NewUpstream(nil, nil); !errors.Is(err, esthttp.ErrOptions) {
		t.Errorf("NewUpstream = %v, want ErrOptions", err)
	}
}

// TestClientIsStrict: a server may answer anything.
func TestClientIsStrict(t *testing.T) {
	w := newWorld(t)
	der, err := estcoap.EncodeCertsOnly(w.ca.Root())
	if err != nil {
		t.Fatal(err)
	}
	good := base64.StdEncoding.EncodeToString(der)
	wait := (*est.PendingError)(nil)
	status := (*esthttp.StatusError)(nil)
	for _, tt := range []struct {
		name string
		code int
		head map[string]string
		body string
		as   any // of errors.As; nil: is
		is   error
		want time.Duration
	}{
		{
			name: "another media type", code: 200, head: map[string]string{"Content-Type": "text/html"}, body: good,
			is: esthttp.ErrAnswer,
		},
		{name: "no base64", code: 200, body: "%", is: esthttp.ErrBody},
		{name: "nothing", code: 200, is: esthttp.ErrBody},
		{name: "no PKCS#7", code: 200, body: "MAA=", is: estcoap.ErrPKCS7},
		{name: "endless", code: 200, body: strings.Repeat("A", 1<<20), is: esthttp.ErrAnswer},
		{name: "redirection", code: 307, head: map[string]string{"Location": "https://evil.example/"}, as: &status},
		{name: "internal error", code: 500, as: &status},
		{name: "busy", code: 503, head: map[string]string{"Retry-After": "7"}, as: &wait, want: 7 * time.Second},
		{name: "no time", code: 202, as: &wait, want: time.Minute},
		{name: "a time", code: 202, head: map[string]string{
			"Date": "Wed, 25 Nov 2026 12:00:00 GMT", "Retry-After": "Wed, 25 Nov 2026 12:05:00 GMT",
		}, as: &wait, want: 5 * time.Minute},
		{name: "no such time", code: 202, head: map[string]string{"Retry-After": "soon"}, as: &wait, want: time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "application/pkcs7-mime; smime-type=certs-only")
				for name, value := range tt.head {
					rw.Header().Set(name, value)
				}
				rw.WriteHeader(tt.code)
				_, _ = rw.Write([]byte(tt.body))
			}))
			defer server.Close()
			c, err := esthttp.NewClient(esthttp.ClientOptions{URL: server.URL, HTTP: server.Client()})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Enrol(t.Context(), []byte{1})
			if tt.as != nil && !errors.As(err, tt.as) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("Enrol = %v", err)
			}
			if tt.want > 0 && wait.Retry != tt.want {
				t.Errorf("wait %v, want %v", wait.Retry, tt.want)
			}
		})
	}
}

// TestUpstream: one provider's CA has another's make its devices' certificates, over
// HTTPS, with a one-time password.
func TestUpstream(t *testing.T) {
	outside := newWorld(t)
	p, secret, err := outside.ca.MakePassword(t.Context(), est.NewPassword{Name: "urn:dev:*", Uses: 10})
	if err != nil {
		t.Fatal(err)
	}
	// The name is that of a device with a right at the external CA too, which a
	// password must not take.
	upstream := func(user, secret string) func(*est.Options) {
		up, err := esthttp.NewUpstream(outside.asking(t, nil, user, secret), []*x509.Certificate{outside.ca.Root()})
		if err != nil {
			t.Fatal(err)
		}
		return func(o *est.Options) {
			o.Upstream = up
			o.Errands, _ = o.Store.(est.Errands)
		}
	}
	for _, tt := range []struct {
		name         string
		endpoint     string
		user, secret string
		state        est.ErrandState
	}{
		{"made", "urn:dev:mac:0001", p.ID, secret, est.ErrandReady},
		{"declined", endpoint, p.ID, secret, est.ErrandRefused},
		{"outside the pattern", "lamp-1", p.ID, secret, est.ErrandRefused},
		{"a wrong password", "urn:dev:mac:0002", p.ID, "x", est.ErrandWaiting},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, upstream(tt.user, tt.secret))
			factory := esttest.NewFactory(t, w.clock.Now)
			if tt.endpoint != endpoint {
				w.device = esttest.NewDevice(t, factory, tt.endpoint)
				esttest.Grant(t, w.ca, factory, w.device)
			}
			w.open(t)
			a := ask{body: text(esttest.CSR(t, w.key, tt.endpoint)), cert: w.factoryCertificate()}
			if res, body := w.do(t, a); res.StatusCode != http.StatusAccepted {
				t.Fatalf("at first: %s %s, want 202", res.Status, body)
			}
			due, err := w.ca.DueErrands(t.Context(), 10)
			if err != nil || len(due) != 1 {
				t.Fatalf("%d errands, %v", len(due), err)
			}
			if err := w.ca.Forward(t.Context(), due[0]); err != nil {
				t.Fatal(err)
			}
			e, err := w.ca.Errand(t.Context(), due[0].ID)
			if err != nil || e.State != tt.state {
				t.Fatalf("errand is %s: %s, %v, want %s", e.State, e.Reason, err, tt.state)
			}
			res, body := w.do(t, a)
			want := map[est.ErrandState]int{est.ErrandReady: 200, est.ErrandRefused: 403, est.ErrandWaiting: 202}[tt.state]
			if res.StatusCode != want {
				t.Fatalf("then: %s %s, want %d", res.Status, body, want)
			}
			if want == http.StatusOK {
				cert := certificates(t, body)[0]
				if err := cert.CheckSignatureFrom(outside.ca.Certificate()); err != nil {
					t.Errorf("not of the external CA: %v", err)
				}
			}
			if strings.Contains(w.log.String(), secret) || strings.Contains(e.Reason, secret) {
				t.Error("the password stands somewhere")
			}
		})
	}
}

// TestUpstreamByCertificate: the external CA sees our registration authority's
// certificate, and the request as the device signed it.
func TestUpstreamByCertificate(t *testing.T) {
	w := newWorld(t)
	key := esttest.Key(t)
	registrar, err := w.ca.IssueServer(t.Context(), "alpha.example", key.Public()) // it has id-kp-cmcRA
	if err != nil {
		t.Fatal(err)
	}
	csr := esttest.CSR(t, w.key, gateway)
	seen := false
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		shown := r.TLS.PeerCertificates
		seen = len(shown) == 1 && shown[0].UnknownExtKeyUsage[0].String() == "1.3.6.1.5.5.7.3.28"
		http.Error(rw, "not today", http.StatusServiceUnavailable)
	}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	transport, _ := server.Client().Transport.(*http.Transport)
	transport.TLSClientConfig.Certificates = []tls.Certificate{{Certificate: [][]byte{registrar.DER}, PrivateKey: key}}
	c, err := esthttp.NewClient(esthttp.ClientOptions{URL: server.URL, HTTP: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	up, err := esthttp.NewUpstream(c, []*x509.Certificate{w.ca.Root()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = up.Certify(t.Context(), est.Errand{Request: csr})
	if err == nil || errors.Is(err, est.ErrDeclined) || !seen {
		t.Errorf("Certify = %v, certificate seen %v", err, seen)
	}
}
