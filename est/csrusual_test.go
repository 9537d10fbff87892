package est_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"reflect"
	"testing"

	"steward/est"
	"steward/est/esttest"
)

// TestUsualRequests: those of nearly all devices are read here, all others by
// crypto/x509.
func TestUsualRequests(t *testing.T) {
	key := esttest.Key(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	named := func(name string) x509.CertificateRequest {
		return x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}
	}
	san := named("d")
	san.DNSNames = []string{"d"}
	uri := named("d")
	uri.URIs = []*url.URL{{Scheme: "urn", Opaque: "d"}}
	sha512 := named("d")
	sha512.SignatureAlgorithm = x509.ECDSAWithSHA512
	for _, row := range []struct {
		name  string
		der   []byte
		usual bool
	}{
		{"plain", request(t, key, named("urn:dev:os:32473-1")), true},
		{"not of ASCII", request(t, key, named("Zähler 7")), true},
		{"no name", request(t, key, x509.CertificateRequest{}), false},
		{"asterisk", request(t, key, named("a*")), true}, // as UTF8String
		{"two names", request(t, key, x509.CertificateRequest{
			Subject: pkix.Name{CommonName: "d", Organization: []string{"o"}},
		}), false},
		{"subjectAltName", request(t, key, san), false},
		{"URI", request(t, key, uri), false},
		{"SHA-512", request(t, key, sha512), false},
		{"P-384", request(t, p384, named("d")), false},
		{"trailing byte", append(request(t, key, named("d")), 0), false},
		{"nothing", nil, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if usual := sameAsX509(t, row.der); usual != row.usual {
				t.Errorf("usual = %v, want %v", usual, row.usual)
			}
		})
	}
}

// sameAsX509 compares what is read of a usual request with what crypto/x509 reads, and
// reports whether it is one.
func sameAsX509(t *testing.T, der []byte) bool {
	t.Helper()
	got, usual := est.ParseUsual(der)
	if !usual {
		return false
	}
	want, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatalf("%x is taken, which crypto/x509 refuses: %v", der, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%x:\n%+v\nwant\n%+v", der, got, want)
	}
	return true
}

func FuzzUsualRequest(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"urn:dev:os:32473-1", "Zähler 7", ""} {
		der, err := est.NewCSR(key, name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) { sameAsX509(t, der) })
}
