package esttest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

// An Attribute stands in a request, with text for its values.
type Attribute struct {
	Type   asn1.ObjectIdentifier
	Values []string `asn1:"set"`
}

// Attributes that requests of tests have.
var (
	ChallengePassword = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}
	ChangeSubjectName = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 7, 36}
	DecryptKeyID      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 37}
)

type requestInfo struct {
	Version    int
	Subject    asn1.RawValue
	Key        asn1.RawValue
	Attributes []asn1.RawValue `asn1:"tag:0"`
}

// Request makes a PKCS#10 request in DER with attributes that crypto/x509 cannot
// write: for a P-256 key, or, if that is nil, with garbage for key and signature, as
// a device writes that has none.
func Request(tb testing.TB, key crypto.Signer, name string, attributes ...Attribute) []byte {
	tb.Helper()
	info := requestInfo{
		Subject:    asn1.RawValue{FullBytes: marshal(tb, pkix.Name{CommonName: name}.ToRDNSequence())},
		Key:        asn1.RawValue{FullBytes: publicKey(tb, key)},
		Attributes: []asn1.RawValue{},
	}
	for _, a := range attributes {
		info.Attributes = append(info.Attributes, asn1.RawValue{FullBytes: marshal(tb, a)})
	}
	signed, signature := marshal(tb, info), []byte{0}
	if key != nil {
		sum := sha256.Sum256(signed)
		var err error
		if signature, err = key.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
			tb.Fatal(err)
		}
	}
	return marshal(tb, struct {
		Info      asn1.RawValue
		Algorithm struct{ ID asn1.ObjectIdentifier }
		Signature asn1.BitString
	}{
		asn1.RawValue{FullBytes: signed},
		struct{ ID asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}, // ecdsa-with-SHA256
		asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},                      //nolint:mnd // bits
	})
}

// publicKey returns a SubjectPublicKeyInfo: of P-256 without a point if key is nil.
func publicKey(tb testing.TB, key crypto.Signer) []byte {
	tb.Helper()
	if key != nil {
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			tb.Fatal(err)
		}
		return der
	}
	return marshal(tb, struct {
		Algorithm struct{ ID, Curve asn1.ObjectIdentifier }
		Key       asn1.BitString
	}{
		struct{ ID, Curve asn1.ObjectIdentifier }{
			asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7},
		},
		asn1.BitString{Bytes: []byte{4}, BitLength: 8}, //nolint:mnd // bits
	})
}

func marshal(tb testing.TB, v any) []byte {
	tb.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}
