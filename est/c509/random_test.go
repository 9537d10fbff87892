package c509_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"flag"
	"math/big"
	"math/rand/v2"
	"net"
	"net/url"
	"testing"
	"time"

	"steward/est/c509"
)

var randomSeed = flag.Uint64("seed", 1, "of what is random in certificates and requests, but for keys")

// TestRandomCertificates takes 10,000 random certificates through C509 and back,
// half of them made and signed by crypto/x509, half put together from random
// elements that it would not write.
func TestRandomCertificates(t *testing.T) {
	g := newGenerator(t, rand.New(rand.NewPCG(*randomSeed, 0)))
	var before, after int
	for i := range 10_000 {
		der := g.signed
		if i%2 == 1 {
			der = g.assembled
		}
		b := der(t)
		short, err := c509.FromDER(b)
		if err != nil {
			t.Fatalf("certificate %d: FromDER(%x): %v", i, b, err)
		}
		if back, err := c509.ToDER(short); err != nil || !bytes.Equal(back, b) {
			t.Fatalf("certificate %d: ToDER(%x) = %x, %v, want %x", i, short, back, err, b)
		}
		if len(short) >= len(b) {
			t.Errorf("certificate %d: %d bytes of C509 for %d", i, len(short), len(b))
		}
		before, after = before+len(b), after+len(short)
	}
	t.Logf("%d bytes of DER, %d of C509", before, after)
}

// TestRandomRequests does the same with requests, and signs them natively.
func TestRandomRequests(t *testing.T) {
	g := newGenerator(t, rand.New(rand.NewPCG(*randomSeed, 0)))
	for i := range 1000 {
		key := g.keys[g.IntN(len(g.keys))]
		der, err := x509.CreateCertificateRequest(crand.Reader, &x509.CertificateRequest{
			Subject:  pkix.Name{CommonName: g.text(), Organization: []string{g.text()}, Country: []string{"SE"}},
			DNSNames: g.hosts(), ExtraExtensions: g.extra(),
		}, key)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		short, err := c509.Options{}.RequestFromDER(der)
		if err != nil {
			t.Fatalf("RequestFromDER(%x): %v", der, err)
		}
		if back, err := c509.RequestToDER(short); err != nil || !bytes.Equal(back, der) {
			t.Fatalf("RequestToDER(%x) = %x, %v, want %x", short, back, err, der)
		}
		if r, err := c509.ParseRequest(short); err != nil || r.Verify() != nil {
			t.Errorf("ParseRequest(%x) = %v, %v, or it does not verify", short, r, err)
		}
		if _, isRSA := key.(*rsa.PrivateKey); isRSA {
			continue
		}
		native, err := c509.Options{}.SignRequest(der, key)
		if err != nil {
			t.Fatalf("SignRequest(%x): %v", der, err)
		}
		checkView(t, native, der)
	}
}

// checkView compares the fields of a native request with those of the X.509 one.
func checkView(t *testing.T, native, der []byte) {
	t.Helper()
	r, err := c509.ParseRequest(native)
	if err != nil || r.Verify() != nil || r.Type != c509.Native {
		t.Fatalf("ParseRequest(%x) = %v, %v, or it does not verify", native, r, err)
	}
	want, err1 := x509.ParseCertificateRequest(der)
	got, err2 := x509.ParseCertificateRequest(r.DER)
	if err1 != nil || err2 != nil {
		t.Fatalf("view of %x: %v, %v", native, err1, err2)
	}
	if got.Subject.String() != want.Subject.String() || len(got.DNSNames) != len(want.DNSNames) ||
		!bytes.Equal(got.RawSubjectPublicKeyInfo, want.RawSubjectPublicKeyInfo) {
		t.Errorf("view of %x is %v %v, want %v %v", native, got.Subject, got.DNSNames, want.Subject, want.DNSNames)
	}
	if got.CheckSignature() == nil {
		t.Errorf("the view of %x verifies", native)
	}
}

type generator struct {
	*rand.Rand

	keys []crypto.Signer
	ca   []*x509.Certificate
}

func newGenerator(t *testing.T, r *rand.Rand) *generator {
	t.Helper()
	g := &generator{Rand: r}
	for range 3 {
		for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
			key, err := ecdsa.GenerateKey(curve, crand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			g.keys = append(g.keys, key)
		}
		_, key, err := ed25519.GenerateKey(crand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		g.keys = append(g.keys, key)
	}
	key, err := rsa.GenerateKey(crand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	g.keys = append(g.keys, key)
	for range 8 {
		g.ca = append(g.ca, &x509.Certificate{Subject: g.name(), SubjectKeyId: g.octets(20)})
	}
	return g
}

// signed returns a certificate that crypto/x509 made.
func (g *generator) signed(t *testing.T) []byte {
	t.Helper()
	from := time.Unix(g.Int64N(2<<31), 0)
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(append([]byte{1 + byte(g.IntN(255))}, g.octets(g.IntN(19))...)),
		Subject:      g.name(), NotBefore: from, NotAfter: from.Add(time.Duration(g.Int64N(1 << 62))),
		KeyUsage: x509.KeyUsage(g.IntN(512)), DNSNames: g.hosts(), ExtraExtensions: g.extra(),
		BasicConstraintsValid: g.chance(3), IsCA: g.chance(2), MaxPathLen: g.IntN(4) - 1,
	}
	template.IsCA = template.IsCA && template.BasicConstraintsValid
	if !template.IsCA {
		template.MaxPathLen = 0
	}
	for range g.IntN(4) {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsage(g.IntN(10)))
	}
	if g.chance(3) {
		template.CRLDistributionPoints = []string{"http://crl.example/1", "coap://x/2"}[:1+g.IntN(2)]
		template.OCSPServer = []string{"http://ocsp.example"}
		template.IssuingCertificateURL = []string{"http://ca.example/ca.cer"}[:g.IntN(2)]
	}
	if g.chance(3) {
		template.IPAddresses = []net.IP{g.octets(4), g.octets(16)}
		template.EmailAddresses = []string{"a@b.example"}
		template.URIs = []*url.URL{{Scheme: "urn", Opaque: "imei:1"}}
	}
	signer := g.keys[3*g.IntN(2)] // P-256 or Ed25519
	if g.chance(40) {
		signer = g.keys[g.IntN(len(g.keys))] // the others are slow
	}
	ca := g.ca[g.IntN(len(g.ca))]
	der, err := x509.CreateCertificate(crand.Reader, template, ca, g.keys[g.IntN(len(g.keys))].Public(), signer)
	if err != nil {
		t.Fatalf("CreateCertificate: %v", err)
	}
	return der
}

func (g *generator) chance(n int) bool { return g.IntN(n) == 0 }

func (g *generator) octets(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(g.Uint32())
	}
	return out
}

// texts are of every form that a name's text may have.
var texts = []string{
	"device-1", "Ünïcode", "0123456789abcdef", "0123456789ABCDEF", "abc", "00", "", "01-23-45-FF-FE-67-89-AB",
	"01-23-45-67-89-AB-CD-EF", "01-23-45-ff-fe-67-89-ab", "01-23-45-FF-FE-67-89", "SE", "*.example", "a_b@c",
}

func (g *generator) text() string { return texts[g.IntN(len(texts))] }

func (g *generator) name() (out pkix.Name) {
	out.CommonName = g.text()
	if g.chance(2) {
		out.Country, out.Organization = []string{g.text()}, []string{g.text()}
	}
	if g.chance(3) {
		out.SerialNumber, out.OrganizationalUnit = g.text(), []string{g.text()}
	}
	if g.chance(4) {
		oids := []asn1.ObjectIdentifier{{2, 5, 4, 42}, {0, 9, 2342, 19200300, 100, 1, 25}, {1, 2, 3, 4}}
		out.ExtraNames = []pkix.AttributeTypeAndValue{
			{Type: oids[g.IntN(3)], Value: g.text()},
			{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: g.text()},
		}
	}
	return out
}

func (g *generator) hosts() (out []string) {
	for range g.IntN(3) {
		out = append(out, []string{"example.com", "abcdef", "device-1"}[g.IntN(3)])
	}
	return out
}

// extra returns extensions that are nobody's.
func (g *generator) extra() (out []pkix.Extension) {
	for i := range g.IntN(3) {
		out = append(out, pkix.Extension{
			Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 50000, i}, Critical: g.chance(2), Value: g.octets(g.IntN(9)),
		})
	}
	return out
}
