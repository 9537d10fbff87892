package handshake_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// selfSigned makes a P-256 certificate that vouches for itself: in these tests
// the verdict is the credentials', not a chain's.
func selfSigned(tb testing.TB, name string) *tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return selfSignedBy(tb, name, key)
}

// selfSignedBy is selfSigned for a key of any kind.
func selfSignedBy(tb testing.TB, name string, key crypto.Signer) *tls.Certificate {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

var errStranger = errors.New("stranger")

// credentials know one certificate for each server name, one client
// certificate and one key.
type credentials struct {
	server map[string]*tls.Certificate
	client *tls.Certificate
	psk    map[string][]byte
	judged int  // calls of Identify
	lapse  bool // PSK panics

	revoked error // what Resume says
}

// Resume implements dtls.Resumer.
func (c *credentials) Resume(coap.Identity) error { return c.revoked }

func (c *credentials) Certificate(name string) (*tls.Certificate, error) {
	if cert, ok := c.server[name]; ok {
		return cert, nil
	}
	return nil, errStranger
}

func (c *credentials) PSK(identity []byte) ([]byte, error) {
	if c.lapse {
		panic("lapse")
	}
	if k, ok := c.psk[string(identity)]; ok {
		return k, nil
	}
	return nil, dtls.ErrUnknownIdentity
}

func (c *credentials) Identify(chain [][]byte, psk []byte) (coap.Identity, error) {
	c.judged++
	if chain == nil {
		return coap.Identity{Role: coap.RolePSK, Name: string(psk)}, nil
	}
	if string(chain[0]) != string(c.client.Certificate[0]) {
		return coap.Identity{}, errStranger
	}
	return coap.Identity{Role: coap.RoleFactory, Name: "device", Certificate: sha256.Sum256(chain[0])}, nil
}

func newCredentials(tb testing.TB) *credentials {
	tb.Helper()
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return &credentials{
		server: map[string]*tls.Certificate{
			"": selfSigned(tb, "default"), "sp.example": selfSigned(tb, "sp.example"),
			"ed.example": selfSignedBy(tb, "ed.example", edwards), "p384.example": selfSignedBy(tb, "p384.example", p384),
		},
		client: selfSigned(tb, "device"),
		psk:    map[string][]byte{"dev-1": []byte("0123456789abcdef")},
	}
}
