package estcoap_test

import (
	"context"
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

// TestLibcoap is an independent client (Debian package libcoap3-bin), with a
// factory certificate, at block sizes 64 and 1024.
func TestLibcoap(t *testing.T) {
	program, err := exec.LookPath("coap-client-openssl")
	if err != nil {
		t.Skip("no coap-client-openssl")
	}
	for _, size := range []string{"64", "1024"} {
		t.Run("blocks of "+size, func(t *testing.T) {
			w := newWorld(t, time.Now) // both libraries look at the real clock
			w.open(t)
			uri, dir := serve(t, w), t.TempDir()
			file := func(name string, data []byte) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			pkcs8, err := x509.MarshalPKCS8PrivateKey(w.device.Key)
			if err != nil {
				t.Fatal(err)
			}
			cert := file("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.device.DER}))
			key := file("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
			root := file("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.ca.Root().Raw}))
			csr := file("csr.der", esttest.CSR(t, w.key, endpoint))
			run := func(path string, args ...string) []byte {
				t.Helper()
				out := filepath.Join(dir, "answer")
				args = append([]string{"-c", cert, "-j", key, "-C", root, "-b", size, "-B", "20", "-o", out}, args...)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				if text, err := exec.CommandContext(ctx, program, append(args, uri+path)...).CombinedOutput(); err != nil {
					t.Fatalf("%v: %v\n%s", args, err, text)
				}
				answer, err := os.ReadFile(out)
				if err != nil {
					t.Fatal(err)
				}
				return answer
			}
			chain, err := estcoap.DecodeCertsOnly(run("/est/crts"))
			if err != nil || len(chain) != 2 || !chain[1].Equal(w.ca.Root()) {
				t.Fatalf("crts: %d certificates, %v", len(chain), err)
			}
			post := []string{"-m", "post", "-t", "286", "-f", csr}
			one := run("/.well-known/est/sen", append(post, "-A", "287")...)
			leaf := parse(t, one)
			if err := leaf.CheckSignatureFrom(chain[0]); err != nil || leaf.Subject.CommonName != endpoint {
				t.Errorf("sen: %s, %v", leaf.Subject, err)
			}
			same, err := estcoap.DecodeCertsOnly(run("/est/sen", append(post, "-A", "281")...))
			if err != nil || len(same) != 1 || !same[0].Equal(leaf) {
				t.Errorf("sen again: %v, want the same certificate", err)
			}
		})
	}
}
