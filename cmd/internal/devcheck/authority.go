package devcheck

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"time"

	"steward/transfer"
)

// An authority is a CA of one run: it is made at the start and thrown away.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

// validity is that of all certificates: longer than a device's clock may be wrong,
// and than any run.
const validity = 48 * time.Hour

const serialBits = 120

func newAuthority(name string) (*authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	a := &authority{key: key}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a.certificate, err = a.sign(template, template, key.Public())
	return a, err
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// sign completes a template and signs it.
func (a *authority) sign(template, parent *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, err
	}
	template.SerialNumber, template.BasicConstraintsValid = serial, true
	template.NotBefore, template.NotAfter = time.Now().Add(-validity/2), time.Now().Add(validity)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// issue signs a certificate for an end entity.
func (a *authority) issue(template *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	template.KeyUsage = x509.KeyUsageDigitalSignature
	return a.sign(template, a.certificate, key)
}

// cmcRA marks servers that may enrol (RFC 7030 §3.6.1).
var cmcRA = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 28} // never changed

// server returns the key of a server at host with its certificate; registrar says
// whether it may enrol.
func (a *authority) server(host string, registrar bool) (*tls.Certificate, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: host}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	if registrar {
		template.UnknownExtKeyUsage = []asn1.ObjectIdentifier{cmcRA}
	}
	certificate, err := a.issue(template, key.Public())
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{
		Certificate: [][]byte{certificate.Raw, a.certificate.Raw}, PrivateKey: key, Leaf: certificate,
	}, nil
}

// signer returns a key that signs messages, with its certificate.
func (a *authority) signer(name string) (transfer.Signer, error) {
	key, err := newKey()
	if err != nil {
		return transfer.Signer{}, err
	}
	certificate, err := a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}}, key.Public())
	if err != nil {
		return transfer.Signer{}, fmt.Errorf("%s: %w", name, err)
	}
	return transfer.Signer{Key: key, Certificate: certificate.Raw}, nil
}
