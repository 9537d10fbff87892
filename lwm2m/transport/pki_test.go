package transport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// authority is a certification authority of the tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	a := &authority{pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, key := a.sign(tb, template)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	a.cert, a.key = cert, key
	a.pool.AddCert(cert)
	return a
}

func (a *authority) sign(tb testing.TB, template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		tb.Fatal(err)
	}
	return der, key
}

// issue makes a certificate for server and client use at 127.0.0.1.
func (a *authority) issue(tb testing.TB, name string) *tls.Certificate {
	tb.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		tb.Fatal(err)
	}
	der, key := a.sign(tb, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}
}

// verify judges a chain by the authority.
func (a *authority) verify(chain [][]byte) error {
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return err
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: a.pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}

// write puts certificate, key and anchor into files, for programs of others.
func (a *authority) write(tb testing.TB, c *tls.Certificate) (cert, key, anchor string) {
	tb.Helper()
	dir := tb.TempDir()
	put := func(name, typ string, der []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600); err != nil {
			tb.Fatal(err)
		}
		return p
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		tb.Fatal(err)
	}
	return put("cert.pem", "CERTIFICATE", c.Certificate[0]), put("key.pem", "PRIVATE KEY", der),
		put("ca.pem", "CERTIFICATE", a.cert.Raw)
}

var errRevoked = errors.New("certificate revoked")

// credentials trust an authority except for what is revoked.
type credentials struct {
	authority *authority
	server    *tls.Certificate
	psk       map[string][]byte

	mu      sync.Mutex
	judged  func()          // between a favourable judgement of Identify and its return; nil: nothing
	revoked map[string]bool // by common name
}

func newCredentials(tb testing.TB) *credentials {
	tb.Helper()
	a := newAuthority(tb)
	return &credentials{
		authority: a, server: a.issue(tb, "server"),
		psk: map[string][]byte{"sensor": []byte("0123456789abcdef")}, revoked: map[string]bool{},
	}
}

func (c *credentials) revoke(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.revoked[name] = true
}

func (c *credentials) onJudged(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.judged = f
}

func (c *credentials) Certificate(string) (*tls.Certificate, error) { return c.server, nil }

func (c *credentials) PSK(identity []byte) ([]byte, error) {
	if k, ok := c.psk[string(identity)]; ok {
		return k, nil
	}
	return nil, dtls.ErrUnknownIdentity
}

func (c *credentials) Identify(chain [][]byte, psk []byte) (coap.Identity, error) {
	if chain == nil {
		return coap.Identity{Role: coap.RolePSK, Name: string(psk)}, nil
	}
	if err := c.authority.verify(chain); err != nil {
		return coap.Identity{}, err
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return coap.Identity{}, err
	}
	c.mu.Lock()
	revoked, judged := c.revoked[leaf.Subject.CommonName], c.judged
	c.mu.Unlock()
	if revoked {
		return coap.Identity{}, errRevoked
	}
	if judged != nil {
		judged()
	}
	return coap.Identity{
		Role: coap.RoleOperational, Name: leaf.Subject.CommonName, Certificate: sha256.Sum256(chain[0]),
	}, nil
}

// client are the options of a device called name.
func (c *credentials) client(tb testing.TB, name string) dtls.ClientOptions {
	tb.Helper()
	return dtls.ClientOptions{Certificate: c.authority.issue(tb, name), Verify: c.authority.verify, CID: true}
}

// Resume implements dtls.Resumer.
func (c *credentials) Resume(who coap.Identity) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.revoked[who.Name] {
		return errRevoked
	}
	return nil
}
