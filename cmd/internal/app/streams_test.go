package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/server"
	"steward/lwm2m/transport"
)

// streaming runs a provider with CoAP over TCP and TLS on dir, until stop.
func streaming(t *testing.T, dir string, change func(*config.Options)) (a *app.App, stop func()) {
	t.Helper()
	o := config.Default()
	o.Data, o.Host, o.AllowTestRange, o.AllowNoSec = dir, "127.0.0.1", true, true
	o.HTTP, o.CoAPS, o.Peer, o.PKI = "127.0.0.1:0", "127.0.0.1:0", "off", "off"
	o.CoAPTCP, o.CoAPSTCP = "127.0.0.1:0", "127.0.0.1:0"
	if change != nil {
		change(&o)
	}
	cfg, err := config.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if a, err = app.New(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = func() {
		cancel()
		if err := errors.Join(<-done, a.Close()); err != nil {
			t.Error(err)
		}
	}
	return a, stop
}

// device is an engine that answers each request with 2.05 and "value".
func device(t *testing.T) *coap.Engine {
	t.Helper()
	e := coap.New(coap.Options{Handler: coap.HandlerFunc(func(context.Context, *coap.Request) *coap.Response {
		return &coap.Response{Code: coap.Content, ContentFormat: coap.FormatID(0), Payload: []byte("value")}
	})})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return e
}

func connect(t *testing.T, e *coap.Engine, scheme string, at netip.AddrPort, o dtls.ClientOptions) *transport.Conn {
	t.Helper()
	uri := scheme + "://" + at.String()
	conn, err := transport.Dial(t.Context(), transport.DialOptions{URI: uri, Engine: e, Client: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// register registers with b=T and returns the answer.
func register(t *testing.T, e *coap.Engine, p coap.Peer, ep string) coap.Code {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := e.Do(ctx, p, &coap.Request{
		Method: coap.POST, Path: []string{"rd"}, ContentFormat: coap.FormatID(40),
		Query: []string{"ep=" + ep, "lt=300", "lwm2m=1.1", "b=T"}, Payload: []byte("</1/0>,</3/0>"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.Code
}

// TestStreamRegistration is LightweightM2M-1.1-int-106 and -404: CSM both ways,
// Register with b=T by TCP and by TLS with a certificate; the device is read while it
// is connected and unreachable as soon as it is not, and comes back to a server
// that was restarted.
func TestStreamRegistration(t *testing.T) {
	dir := t.TempDir()
	a, stop := streaming(t, dir, nil)
	certificate := updating(t, a, "secured", "01S", false)
	options := dtls.ClientOptions{Certificate: certificate, Verify: func([][]byte) error { return nil }}
	for _, restarted := range []bool{false, true} {
		if restarted {
			stop()
			a, stop = streaming(t, dir, nil)
		}
		tcp, tls := a.StreamAddrs()
		for _, c := range []struct {
			scheme, ep string
			at         netip.AddrPort
			o          dtls.ClientOptions
		}{
			{"coap+tcp", "open", tcp, dtls.ClientOptions{}},
			{"coaps+tcp", "secured", tls, options},
		} {
			e := device(t)
			conn := connect(t, e, c.scheme, c.at, c.o)
			if code := register(t, e, conn, c.ep); code != coap.Created {
				t.Fatalf("%s: Register = %s, want 2.01", c.scheme, code)
			}
			d, err := a.DB().Devices().ByEndpoint(t.Context(), lwm2m.Endpoint(c.ep))
			if err != nil {
				t.Fatal(err)
			}
			if by, ok := a.Reachable(d.ID); !ok || by != c.scheme {
				t.Errorf("reachable %t by %q, want %q", ok, by, c.scheme)
			}
			got, err := a.ReadDevice(t.Context(), d.ID, lwm2m.NewPath(3, 0, 0))
			if err != nil || len(got) != 1 {
				t.Fatalf("Read = %v, %v", got, err)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
			for reachable := true; reachable; _, reachable = a.Reachable(d.ID) {
				select {
				case <-t.Context().Done():
					t.Fatal("still reachable")
				case <-time.After(time.Millisecond):
				}
			}
			if _, err := a.ReadDevice(t.Context(), d.ID, lwm2m.NewPath(3, 0, 0)); !errors.Is(err, server.ErrUnreachable) {
				t.Errorf("Read = %v, want ErrUnreachable", err)
			}
		}
	}
	stop()
}

// TestStreamClasses: what an association may do depends on its class, not on
// its transport.
func TestStreamClasses(t *testing.T) {
	a, stop := streaming(t, t.TempDir(), nil)
	defer stop()
	tcp, tls := a.StreamAddrs()
	certificate := updating(t, a, "mine", "01M", false)
	options := dtls.ClientOptions{Certificate: certificate, Verify: func([][]byte) error { return nil }}
	e := device(t)
	for _, tt := range []struct {
		name string
		conn coap.Peer
		path []string
		want coap.Code
	}{
		{"none at EST", connect(t, e, "coap+tcp", tcp, dtls.ClientOptions{}), []string{"est", "crts"}, coap.Forbidden},
		{"none at updates", connect(t, e, "coap+tcp", tcp, dtls.ClientOptions{}), []string{"update", "e"}, coap.Forbidden},
		{"operational at bootstrap", connect(t, e, "coaps+tcp", tls, options), []string{"bs"}, coap.Forbidden},
		{"operational at EST", connect(t, e, "coaps+tcp", tls, options), []string{"est", "crts"}, coap.Content},
		{"no such path", connect(t, e, "coaps+tcp", tls, options), []string{"nowhere"}, coap.NotFound},
	} {
		r, err := e.Do(t.Context(), tt.conn, &coap.Request{Method: coap.GET, Path: tt.path})
		if err != nil || r.Code != tt.want {
			t.Errorf("%s: %v, %v, want %s", tt.name, r, err, tt.want)
		}
	}
	other := connect(t, e, "coaps+tcp", tls, options)
	if code := register(t, e, other, "somebody-else"); code.IsSuccess() {
		t.Errorf("Register of another name = %s", code)
	}
}

// TestServerCertificates: over DTLS and TLS the name that a device asks for chooses
// the certificate.
func TestServerCertificates(t *testing.T) {
	chain, key := selfSigned(t)
	a, stop := streaming(t, t.TempDir(), func(o *config.Options) {
		o.ServerCertificates = []string{"iot.example.com=" + chain + "," + key}
	})
	defer stop()
	_, tls := a.StreamAddrs()
	certificate := updating(t, a, "mine", "01M", false)
	e := device(t)
	for _, uri := range []string{a.CoAPSURI(), "coaps+tcp://" + tls.String()} {
		for asked, want := range map[string]string{
			"iot.example.com": "iot.example.com", "IOT.example.com": "iot.example.com", "other.example": "", "": "",
		} {
			conn, err := transport.Dial(t.Context(), transport.DialOptions{URI: uri, Engine: e, Client: dtls.ClientOptions{
				Certificate: certificate, ServerName: asked, Verify: func([][]byte) error { return nil },
			}})
			if err != nil {
				t.Fatal(err)
			}
			if got := conn.Identity().Name; (got == "iot.example.com") != (want != "") {
				t.Errorf("%s asked for %q: certificate of %q", uri, asked, got)
			}
			_ = conn.Close()
		}
	}
}

// TestServerCertificatesRefused: a file that no client would accept ends the start.
func TestServerCertificatesRefused(t *testing.T) {
	chain, key := selfSigned(t)
	_, foreign := selfSigned(t)
	_, open := selfSigned(t)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no file":         "iot.example.com=none.pem," + key,
		"another's key":   "iot.example.com=" + chain + "," + foreign,
		"key for all":     "iot.example.com=" + chain + "," + open,
		"for other names": "other.example=" + chain + "," + key,
	} {
		o := config.Default()
		o.Data, o.AllowTestRange, o.ServerCertificates = t.TempDir(), true, []string{text}
		o.HTTP, o.CoAPS, o.Peer, o.PKI = "127.0.0.1:0", "127.0.0.1:0", "off", "off"
		cfg, err := config.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := app.New(t.Context(), cfg, slog.New(slog.DiscardHandler)); !errors.Is(err, app.ErrPKI) {
			t.Errorf("%s: New = %v, want ErrPKI", name, err)
		}
	}
}

// selfSigned writes a certificate for iot.example.com and its key into files.
func selfSigned(t *testing.T) (chain, keyFile string) {
	t.Helper()
	const name = "iot.example.com"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	chain, keyFile = filepath.Join(dir, "chain.pem"), filepath.Join(dir, "key.pem")
	for file, b := range map[string]*pem.Block{
		chain: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return chain, keyFile
}
