package foreign_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"time"
)

// A ca is the partner's own: one root that issues to servers and devices, and one
// right a device.
type ca struct {
	signer

	mu     sync.Mutex
	shut   bool              // nobody is enrolled
	rights map[string]*right // by hash of the factory certificate
	issued map[string]bool   // hashes of live operational certificates
}

// A right is the permission to enrol one device, for one key.
type right struct {
	open   bool
	spki   []byte // of the READY receipt
	csr    []byte // that was answered
	issued *x509.Certificate
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the random source never fails
	}
	return key
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err)
	}
	return n
}

func parse(der []byte, err error) *x509.Certificate {
	if err != nil {
		panic(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return c
}

func newCA(name string) *ca {
	key := newKey()
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name + " CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	root := parse(x509.CreateCertificate(rand.Reader, t, t, key.Public(), key))
	return &ca{signer: signer{key, root}, rights: map[string]*right{}, issued: map[string]bool{}}
}

// issue signs a certificate for a key, with what the caller says of it.
func (c *ca) issue(key crypto.PublicKey, t *x509.Certificate) *x509.Certificate {
	t.SerialNumber, t.KeyUsage, t.BasicConstraintsValid = serial(), x509.KeyUsageDigitalSignature, true
	t.NotBefore, t.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(50*time.Minute)
	return parse(x509.CreateCertificate(rand.Reader, t, c.certificate, key, c.key))
}

// cmcRA marks a server that may enrol (RFC 7030 §3.6.1).
var cmcRA = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 28}

// server returns the key of the partner's servers, with its certificate for host.
func (c *ca) server(host string) tls.Certificate {
	key := newKey()
	certificate := c.issue(key.Public(), &x509.Certificate{
		Subject: pkix.Name{CommonName: "foreign server"}, IPAddresses: []net.IP{net.ParseIP(host)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, UnknownExtKeyUsage: []asn1.ObjectIdentifier{cmcRA},
	})
	return tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key, Leaf: certificate}
}

// messages returns the key that signs the partner's messages, with its certificate.
func (c *ca) messages(name string) signer {
	key := newKey()
	return signer{key, c.issue(key.Public(), &x509.Certificate{Subject: pkix.Name{CommonName: name + " messages"}})}
}

// enrol answers a request by a device with that factory certificate: the same
// certificate to the same request, none to another key or without an open right.
func (c *ca) enrol(factory *x509.Certificate, csr []byte) (*x509.Certificate, error) {
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, err
	}
	if err := request.CheckSignature(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rights[string(hashOf(factory.Raw))]
	switch {
	case r == nil || c.shut:
		return nil, refused("no right")
	case !r.open:
		return nil, errLater
	case !bytes.Equal(hashOf(request.RawSubjectPublicKeyInfo), r.spki):
		return nil, refused("another key")
	case bytes.Equal(csr, r.csr):
		return r.issued, nil
	}
	if r.issued != nil {
		delete(c.issued, string(hashOf(r.issued.Raw)))
	}
	r.csr, r.issued = csr, c.issue(request.PublicKey, &x509.Certificate{
		Subject: factory.Subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	c.issued[string(hashOf(r.issued.Raw))] = true
	return r.issued, nil
}

// renew issues a certificate for a fresh key to a device that shows the one before,
// which stays good until the device is somewhere else. The right follows the key.
func (c *ca) renew(shown *x509.Certificate, csr []byte) (*x509.Certificate, error) {
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, err
	}
	if err := request.CheckSignature(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.rights {
		if r.issued == nil || !r.issued.Equal(shown) {
			continue
		}
		r.csr, r.spki = csr, hashOf(request.RawSubjectPublicKeyInfo)
		r.issued = c.issue(request.PublicKey, &x509.Certificate{
			Subject: shown.Subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		c.issued[string(hashOf(r.issued.Raw))] = true
		return r.issued, nil
	}
	return nil, refused("renewal of a certificate that is not in use")
}

// right returns the right of a device, a closed one if there was none.
func (c *ca) right(factory []byte, change func(*right)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rights[string(factory)]
	if r == nil {
		r = &right{}
		c.rights[string(factory)] = r
	}
	change(r)
}

// forget deletes the right of a device and what was issued under it.
func (c *ca) forget(factory []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.rights[string(factory)]; r != nil && r.issued != nil {
		delete(c.issued, string(hashOf(r.issued.Raw)))
	}
	delete(c.rights, string(factory))
}

// live reports whether an operational certificate is one of ours and in force.
func (c *ca) live(certificate *x509.Certificate) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.issued[string(hashOf(certificate.Raw))]
}

// operational returns the newest certificate of a device, or nil.
func (c *ca) operational(factory []byte) *x509.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.rights[string(factory)]; r != nil {
		return r.issued
	}
	return nil
}

// certsOnly returns certificates as a PKCS#7 with nothing else (RFC 7030 §4.1.3).
func certsOnly(certificate []byte) []byte {
	type content struct {
		Type asn1.ObjectIdentifier
	}
	signed := struct {
		Version      int
		Digests      []asn1.RawValue `asn1:"set"`
		Content      content
		Certificates asn1.RawValue
		Infos        []asn1.RawValue `asn1:"set"`
	}{
		Version: 1, Digests: []asn1.RawValue{}, Content: content{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}},
		Certificates: asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: certificate},
		Infos:        []asn1.RawValue{},
	}
	inner, err := asn1.Marshal(signed)
	if err != nil {
		panic(err)
	}
	out, err := asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2},
		asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: inner},
	})
	if err != nil {
		panic(err)
	}
	return out
}

func encodePEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}
