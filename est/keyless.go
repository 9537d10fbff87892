package est

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
)

// requestInfo is CertificationRequestInfo (RFC 2986 §4.1).
type requestInfo struct {
	Version    int
	Subject    asn1.RawValue
	PublicKey  asn1.RawValue
	Attributes []asn1.RawValue `asn1:"tag:0"`
}

// request is CertificationRequest (RFC 2986 §4.2).
type request struct {
	Info      requestInfo
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

// parseKeyless reads a request for a key to be made: what it says of a key, and its
// signature, are not looked at (RFC 7030 §4.4.1), so that a device without any key
// can write something in their places. It returns ErrCSR or ErrCSRSize.
func parseKeyless(der []byte) (*CSR, error) {
	if len(der) > MaxCSR {
		return nil, fmt.Errorf("%w: %d bytes", ErrCSRSize, len(der))
	}
	var in request
	if err := unmarshal(der, &in); err != nil {
		return nil, err
	}
	wanted := wantedKey(in.Info.PublicKey.FullBytes)
	in.Info.PublicKey = asn1.RawValue{FullBytes: noKey()}
	with, err := asn1.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCSR, err)
	}
	req, err := x509.ParseCertificateRequest(with)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCSR, err)
	}
	out, err := newCSR(der, req)
	if err != nil {
		return nil, err
	}
	out.wanted = wanted
	return out, nil
}

// noKey is a SubjectPublicKeyInfo that parses and is nobody's.
func noKey() []byte {
	prefix := []byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00} // Ed25519, RFC 8410 §4
	return append(prefix, make([]byte, ed25519.PublicKeySize)...)
}

// wantedKey returns the algorithm that a SubjectPublicKeyInfo names; "" for one
// that no profile has.
func wantedKey(spki []byte) KeyAlgorithm {
	var in struct {
		Algorithm struct {
			ID         asn1.ObjectIdentifier
			Parameters asn1.RawValue `asn1:"optional"`
		}
		Key asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(spki, &in); err != nil {
		return ""
	}
	var curve asn1.ObjectIdentifier
	if len(in.Algorithm.Parameters.FullBytes) > 0 {
		if _, err := asn1.Unmarshal(in.Algorithm.Parameters.FullBytes, &curve); err != nil {
			return ""
		}
	}
	switch id := in.Algorithm.ID; {
	case id.Equal(oidEd25519):
		return Ed25519
	case id.Equal(oidECPublicKey) && curve.Equal(oidP256):
		return P256
	case id.Equal(oidECPublicKey) && curve.Equal(oidP384):
		return P384
	}
	return ""
}
