package estcoap

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/smallstep/pkcs7"
)

// ErrPKCS7 reports a certs-only message that is not exactly that.
var ErrPKCS7 = errors.New("not a certs-only PKCS#7 message")

const (
	maxPKCS7 = 64 << 10 // bytes: many times the longest chain of a constrained device
	maxCerts = 8        // certificates in one message, for the same reason
)

var (
	oidData       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
)

// EncodeCertsOnly returns the degenerate SignedData of RFC 5272 §4.1 with the
// given certificates, in order.
func EncodeCertsOnly(certs ...*x509.Certificate) ([]byte, error) {
	var all []byte
	for _, c := range certs {
		all = append(all, c.Raw...)
	}
	return pkcs7.DegenerateCertificate(all)
}

// contentInfo and signedData are the types of RFC 5652 §3 and §5.1 as a
// certs-only message fills them.
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"optional"`
}

type signedData struct {
	Version      int
	Digests      asn1.RawValue
	Content      contentInfo
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	CRLs         asn1.RawValue `asn1:"optional,tag:1"`
	Signers      asn1.RawValue
}

// DecodeCertsOnly reads a degenerate SignedData in DER. It returns ErrPKCS7 for
// anything else: signers, content, CRLs with something in them, trailing bytes,
// no certificate or too many. The order is that of the message.
func DecodeCertsOnly(der []byte) ([]*x509.Certificate, error) {
	if len(der) > maxPKCS7 {
		return nil, fmt.Errorf("%w: %d bytes", ErrPKCS7, len(der))
	}
	var outer contentInfo
	if err := unmarshal(der, &outer); err != nil {
		return nil, err
	}
	if !outer.Type.Equal(oidSignedData) || !isContext(outer.Content, 0) {
		return nil, fmt.Errorf("%w: content type %v", ErrPKCS7, outer.Type)
	}
	var sd signedData
	if err := unmarshal(outer.Content.Bytes, &sd); err != nil {
		return nil, err
	}
	switch {
	case sd.Version != 1 && sd.Version != 3: // both are seen for certificates without signers
		return nil, fmt.Errorf("%w: version %d", ErrPKCS7, sd.Version)
	case !isEmptySet(sd.Digests) || !isEmptySet(sd.Signers):
		return nil, fmt.Errorf("%w: it is signed", ErrPKCS7)
	case !sd.Content.Type.Equal(oidData) || len(sd.Content.Content.Bytes) > 0:
		return nil, fmt.Errorf("%w: it has content", ErrPKCS7)
	case len(sd.CRLs.Bytes) > 0:
		return nil, fmt.Errorf("%w: it has CRLs", ErrPKCS7)
	case !isContext(sd.Certificates, 0):
		return nil, fmt.Errorf("%w: no certificates", ErrPKCS7)
	}
	return splitCertificates(sd.Certificates.Bytes)
}

func splitCertificates(der []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for len(der) > 0 {
		var one asn1.RawValue
		rest, err := asn1.Unmarshal(der, &one)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPKCS7, err)
		}
		if len(out) == maxCerts {
			return nil, fmt.Errorf("%w: more than %d certificates", ErrPKCS7, maxCerts)
		}
		c, err := x509.ParseCertificate(one.FullBytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPKCS7, err)
		}
		out, der = append(out, c), rest
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no certificates", ErrPKCS7)
	}
	return out, nil
}

// unmarshal is asn1.Unmarshal without trailing bytes.
func unmarshal(der []byte, v any) error {
	rest, err := asn1.Unmarshal(der, v)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPKCS7, err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: %d bytes too many", ErrPKCS7, len(rest))
	}
	return nil
}

func isContext(v asn1.RawValue, tag int) bool {
	return v.Class == asn1.ClassContextSpecific && v.Tag == tag && v.IsCompound
}

func isEmptySet(v asn1.RawValue) bool { return bytes.Equal(v.FullBytes, []byte{0x31, 0}) }
