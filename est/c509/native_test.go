package c509_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"
	"time"

	"steward/est/c509"
)

// TestSignCertificate signs natively what names itself twice, in two string types.
func TestSignCertificate(t *testing.T) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name := func(tag int) pkix.Name {
		return pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{
			Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: asn1.RawValue{Tag: tag, Bytes: []byte("root")},
		}}}
	}
	from := time.Unix(1735689600, 0)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: name(asn1.TagUTF8String), NotBefore: from, NotAfter: from,
	}
	issuer := &x509.Certificate{Subject: name(asn1.TagPrintableString)}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, key)
	if err != nil {
		t.Fatal(err)
	}
	native, err := c509.Options{}.SignCertificate(der, key)
	if err != nil {
		t.Fatalf("SignCertificate: %v", err)
	}
	cert, err := c509.ParseCertificate(native)
	if err != nil || cert.Type != c509.Native || cert.Verify(public) != nil {
		t.Errorf("ParseCertificate(%x) = %v, %v", native, cert, err)
	}
	if _, err := c509.ToDER(native); !errors.Is(err, c509.ErrForm) {
		t.Errorf("ToDER(native) = %v, want ErrForm", err)
	}
	other, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := cert.Verify(other); !errors.Is(err, c509.ErrSignature) {
		t.Errorf("Verify by another key = %v, want ErrSignature", err)
	}
}

// TestSignRefuses has what cannot be signed natively.
func TestSignRefuses(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	request := func(name pkix.Name, key any) []byte {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: name}, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	_, another, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		der  []byte
		err  error
	}{
		{"RSA", request(pkix.Name{CommonName: "d"}, big), c509.ErrAlgorithm},
		{"a country of three letters", request(pkix.Name{Country: []string{"SWE"}}, key), c509.ErrNoForm},
		{"another's request", request(pkix.Name{CommonName: "d"}, another), c509.ErrSignature},
		{"not DER", []byte{1}, c509.ErrDER},
	} {
		if got, err := (c509.Options{}).SignRequest(tt.der, key); !errors.Is(err, tt.err) {
			t.Errorf("%s: SignRequest = %x, %v, want %v", tt.name, got, err, tt.err)
		}
	}
}
