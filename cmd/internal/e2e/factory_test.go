package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A factory is a CA that knows nothing of steward, and a directory for its files.
type factory struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// A factoryDevice is the files of a device as it leaves the factory.
type factoryDevice struct {
	endpoint          string
	key               *ecdsa.PrivateKey
	der               []byte
	certFile, keyFile string // PEM
}

func newFactory(t *testing.T) *factory {
	t.Helper()
	f := &factory{dir: t.TempDir(), key: newKey(t)}
	f.cert = f.issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Factory CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, &f.key.PublicKey)
	return f
}

// device makes a device with its factory certificate.
func (f *factory) device(t *testing.T, endpoint string) factoryDevice {
	t.Helper()
	key := newKey(t)
	cert := f.issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: endpoint}, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, &key.PublicKey)
	d := factoryDevice{endpoint: endpoint, key: key, der: cert.Raw}
	d.certFile = f.write(t, endpoint+".pem", "CERTIFICATE", cert.Raw)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	d.keyFile = f.write(t, endpoint+".key", "PRIVATE KEY", pkcs8)
	return d
}

func (f *factory) issue(t *testing.T, c *x509.Certificate, pub *ecdsa.PublicKey) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = serial
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(10, 0, 0)
	parent := f.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, f.key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (f *factory) write(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// deliver lists the factory at a provider and announces devices to it.
func (p *provider) deliver(t *testing.T, f *factory, devices ...factoryDevice) {
	t.Helper()
	p.post(t, "/api/v1/factory-authorities", map[string]any{"certificate": f.cert.Raw})
	for _, d := range devices {
		p.post(t, "/api/v1/devices", map[string]any{"certificate": d.der})
	}
}

// hexSum is how certificates are named in URLs.
func hexSum(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
