package estcoap_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/est/esttest"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// credentials serve one certificate and let the CA say who a client is.
type credentials struct {
	ca   *est.CA
	cert tls.Certificate
}

func (c credentials) Certificate(string) (*tls.Certificate, error) { return &c.cert, nil }
func (c credentials) PSK([]byte) ([]byte, error)                   { return nil, dtls.ErrUnknownIdentity }

func (c credentials) Identify(chain [][]byte, _ []byte) (coap.Identity, error) {
	client, err := c.ca.Identify(context.Background(), chain)
	return coap.Identity{Role: coap.Role(client.Role), Name: client.Name, Certificate: client.Certificate}, err
}

// serve runs w behind DTLS on a socket of its own and returns its URI.
func serve(t *testing.T, w *world) string {
	t.Helper()
	key := esttest.Key(t)
	issued, err := w.ca.IssueServer(t.Context(), "127.0.0.1", key.Public())
	if err != nil {
		t.Fatal(err)
	}
	engine := coap.New(coap.Options{Handler: w.server})
	l, err := transport.Listen(transport.ListenOptions{
		Addr: "127.0.0.1:0", Engine: engine, Credentials: credentials{w.ca, tls.Certificate{
			Certificate: [][]byte{issued.DER, issued.Chain[0]}, PrivateKey: key,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = engine.Run(ctx) })
	wg.Go(func() { _ = l.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return fmt.Sprintf("coaps://%s", l.Addr())
}

// A libcoap is coap-client of the Debian package libcoap3-bin, with one identity.
type libcoap struct {
	program, dir, uri, size string
}

// newLibcoap gives it the certificate and key, and the CA to trust.
func newLibcoap(t *testing.T, program, uri, size string, w *world, certificate []byte, key crypto.Signer) libcoap {
	t.Helper()
	c := libcoap{program, t.TempDir(), uri, size}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c.file(t, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	c.file(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	c.file(t, "root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.ca.Root().Raw}))
	return c
}

func (c libcoap) file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ask returns the answer to a request, which must be there.
func (c libcoap) ask(t *testing.T, path string, args ...string) []byte {
	t.Helper()
	out := filepath.Join(c.dir, "answer")
	_ = os.Remove(out)
	args = append([]string{
		"-c", filepath.Join(c.dir, "cert.pem"), "-j", filepath.Join(c.dir, "key.pem"), "-C", filepath.Join(c.dir, "root.pem"),
		"-b", c.size, "-B", "90", "-o", out,
	}, args...)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if text, err := exec.CommandContext(ctx, c.program, append(args, c.uri+path)...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", path, args, err, text)
	}
	answer, err := os.ReadFile(out)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return answer
}

// post asks for what a request asks for.
func (c libcoap) post(t *testing.T, path, accept string, csr []byte) []byte {
	t.Helper()
	return c.ask(t, path, "-m", "post", "-t", "286", "-A", accept, "-f", c.file(t, "csr.der", csr))
}

// TestLibcoap has independent clients, over two DTLS libraries, call every function
// at every block size, and openssl read what comes back.
func TestLibcoap(t *testing.T) {
	for _, program := range []string{"coap-client-openssl", "coap-client-gnutls"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Skip("no " + program)
		}
		for _, size := range []string{"16", "64", "512", "1024"} {
			t.Run(program+", blocks of "+size, func(t *testing.T) { everyFunction(t, path, size) })
		}
	}
}

func everyFunction(t *testing.T, program, size string) {
	t.Helper()
	w := newWorldOf(t, time.Now) // the libraries look at the real clock
	w.open(t)
	uri := serve(t, w)
	c := newLibcoap(t, program, uri, size, w, w.device.DER, w.device.Key)
	chain, err := estcoap.DecodeCertsOnly(c.ask(t, "/est/crts"))
	if err != nil || len(chain) != 2 || !chain[1].Equal(w.ca.Root()) {
		t.Fatalf("crts: %d certificates, %v", len(chain), err)
	}
	if one := parse(t, c.ask(t, "/est/crts", "-A", "287")); !one.Equal(chain[0]) {
		t.Errorf("crts as 287: %s", one.Subject)
	}
	parts, err := estcoap.DecodeMultipart(c.ask(t, "/.well-known/est/crts", "-A", "62"))
	if err != nil || len(parts) != 2 {
		t.Errorf("crts as 62: %d parts, %v", len(parts), err)
	}
	openssl(t, c.ask(t, "/est/att"), "asn1parse", "-inform", "DER")
	leaf := parse(t, c.post(t, "/.well-known/est/sen", "287", esttest.CSR(t, w.key, endpoint)))
	if err := leaf.CheckSignatureFrom(chain[0]); err != nil || leaf.Subject.CommonName != endpoint {
		t.Errorf("sen: %s, %v", leaf.Subject, err)
	}
	openssl(t, leaf.Raw, "x509", "-inform", "DER", "-noout", "-text")

	next := esttest.Key(t)
	c = newLibcoap(t, program, uri, size, w, leaf.Raw, w.key)
	whole := c.post(t, "/est/sren", "281", esttest.CSR(t, next, endpoint))
	openssl(t, whole, "pkcs7", "-inform", "DER", "-print_certs")
	renewed, err := estcoap.DecodeCertsOnly(whole)
	if err != nil || len(renewed) != 1 || renewed[0].Equal(leaf) {
		t.Fatalf("sren: %d certificates, %v", len(renewed), err)
	}
	made := &coap.Response{Code: coap.Changed, ContentFormat: multipart}
	c = newLibcoap(t, program, uri, size, w, renewed[0].Raw, next)
	made.Payload = c.post(t, "/.well-known/est/keys/skg", "62", esttest.Request(t, nil, endpoint))
	key, cert := pair(t, made, estcoap.FormatCertsOnly)
	c = newLibcoap(t, program, uri, size, w, cert.Raw, key)
	made.Payload = c.post(t, "/.well-known/est/keys/skc", "62", esttest.Request(t, nil, endpoint))
	key, _ = pair(t, made, estcoap.FormatPKIXCert)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	openssl(t, pkcs8, "pkey", "-inform", "DER", "-noout", "-check")
}

// openssl runs a command of it on der.
func openssl(t *testing.T, der []byte, args ...string) {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl")
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = bytes.NewReader(der)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("openssl %v: %v\n%s", args, err, text)
	}
}
