package est_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"testing"

	"steward/est"
	"steward/est/esttest"
)

// request makes a CSR as no client of ours would.
func request(tb testing.TB, key crypto.Signer, t x509.CertificateRequest) []byte {
	tb.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &t, key)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

func TestParseCSR(t *testing.T) {
	key := esttest.Key(t)
	good := esttest.CSR(t, key, "d")
	forged := bytes.Clone(good)
	forged[len(forged)-1] ^= 1
	renamed := bytes.Replace(bytes.Clone(good), []byte{0x0c, 1, 'd'}, []byte{0x0c, 1, 'e'}, 1)
	if bytes.Equal(renamed, good) { // the name is a PrintableString
		renamed = bytes.Replace(bytes.Clone(good), []byte{0x13, 1, 'd'}, []byte{0x13, 1, 'e'}, 1)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		in   []byte
		err  error
	}{
		{"as a device makes it", good, nil},
		{"empty", nil, est.ErrCSR},
		{"not DER", []byte("hello"), est.ErrCSR},
		{"cut short", good[:len(good)-1], est.ErrCSR},
		{"trailing byte", append(bytes.Clone(good), 0), est.ErrCSR},
		{"signature of nobody", forged, est.ErrCSR},
		{"name changed after signing", renamed, est.ErrCSR},
		{"too large", make([]byte, est.MaxCSR+1), est.ErrCSRSize},
		{"RSA", request(t, rsaKey, x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}}), est.ErrCSR},
		{"P-521", request(t, p521, x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}}), est.ErrKey},
		{
			"address", request(t, key, x509.CertificateRequest{
				Subject: pkix.Name{CommonName: "d"}, IPAddresses: []net.IP{net.IPv4(1, 2, 3, 4)},
			}), est.ErrCSR,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			csr, err := est.ParseCSR(tt.in)
			if !errors.Is(err, tt.err) {
				t.Fatalf("ParseCSR = %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if want, err := est.SPKI(key.Public()); err != nil || csr.SPKI != want {
				t.Errorf("SPKI = %x, want %x, %v", csr.SPKI, want, err)
			}
		})
	}
}

func TestSPKIRefuses(t *testing.T) {
	if _, err := est.SPKI("no key"); !errors.Is(err, est.ErrKey) {
		t.Errorf("SPKI = %v, want ErrKey", err)
	}
}

// FuzzParseCSR: no panic, and what is accepted proves its key whatever else it says.
func FuzzParseCSR(f *testing.F) {
	key := esttest.Key(f)
	f.Add(esttest.CSR(f, key, "urn:dev:1"))
	f.Add(request(f, key, x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}, DNSNames: []string{"d"}}))
	f.Add([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		csr, err := est.ParseCSR(in)
		if err != nil {
			return
		}
		if len(in) > est.MaxCSR {
			t.Errorf("accepted %d bytes", len(in))
		}
		if want, err := est.SPKI(csr.Key); err != nil || csr.SPKI != want {
			t.Errorf("SPKI = %x, want %x, %v", csr.SPKI, want, err)
		}
		req, err := x509.ParseCertificateRequest(in)
		if err != nil || req.CheckSignature() != nil {
			t.Errorf("accepted a request without proof of possession: %v", err)
		}
	})
}

func subjectOf(name string) pkix.Name { return pkix.Name{CommonName: name} }
