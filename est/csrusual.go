package est

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

// What a usual request has in DER: version 0, and ecdsa-with-SHA256 (RFC 5758 §3.2).
var (
	derVersionZero = []byte{asn1.TagInteger, 1, 0}
	derECDSASHA256 = []byte{0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02}
	derNoAttribute = []byte{0xa0, 0}
)

// parseUsual reads the request that nearly all devices make: a commonName, a key of
// P-256, and no attributes. ok is false for all others, which x509 reads, or refuses.
// What it returns is what x509.ParseCertificateRequest does, in a quarter of the time.
func parseUsual(der []byte) (req *x509.CertificateRequest, ok bool) {
	in := cryptobyte.String(der)
	var outer, info, subject cryptobyte.String
	var signature asn1.BitString
	whole := in.ReadASN1(&outer, tag.SEQUENCE) && in.Empty() && outer.ReadASN1Element(&info, tag.SEQUENCE) &&
		cut(&outer, derECDSASHA256) && outer.ReadASN1BitString(&signature) && outer.Empty() && signature.BitLength%8 == 0
	if !whole {
		return nil, false
	}
	req = &x509.CertificateRequest{
		Raw: der, RawTBSCertificateRequest: info, Signature: signature.Bytes,
		SignatureAlgorithm: x509.ECDSAWithSHA256, PublicKeyAlgorithm: x509.ECDSA,
	}
	const point = 64
	if !info.ReadASN1(&info, tag.SEQUENCE) || !cut(&info, derVersionZero) ||
		!info.ReadASN1Element(&subject, tag.SEQUENCE) || len(info) != len(p256Head)+point+len(derNoAttribute) ||
		!bytes.HasPrefix(info, p256Head) ||
		!bytes.HasSuffix(info, derNoAttribute) {
		return nil, false
	}
	req.RawSubject, req.RawSubjectPublicKeyInfo = subject, info[:len(p256Head)+point]
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), info[len(p256Head)-1:len(p256Head)+point])
	if err != nil {
		return nil, false
	}
	name, ok := onlyName(subject)
	if !ok {
		return nil, false
	}
	req.PublicKey = key
	req.Subject = pkix.Name{
		CommonName: name, Names: []pkix.AttributeTypeAndValue{{Type: oidCommonName, Value: name}},
	}
	return req, true
}

// cut takes head off the beginning of s, if it is there.
func cut(s *cryptobyte.String, head []byte) bool {
	return bytes.HasPrefix(*s, head) && s.Skip(len(head))
}

// onlyName returns the commonName of a Name that has nothing else, as text without
// doubt; ok is false for any other.
func onlyName(der cryptobyte.String) (name string, ok bool) {
	var set, attribute, text cryptobyte.String
	var kind tag.Tag
	whole := der.ReadASN1(&der, tag.SEQUENCE) && der.ReadASN1(&set, tag.SET) && der.Empty() &&
		set.ReadASN1(&attribute, tag.SEQUENCE) && set.Empty() && cut(&attribute, derCommonName) &&
		attribute.ReadAnyASN1(&text, &kind) && attribute.Empty()
	if !whole {
		return "", false
	}
	name = string(text)
	plain := !strings.ContainsFunc(name, func(r rune) bool { return !printable(r) })
	return name, kind == tag.UTF8String && utf8.ValidString(name) || kind == tag.PrintableString && plain
}
