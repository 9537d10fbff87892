package est

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"strings"
	"time"
)

// A pattern is what the certificates of one issuer and one profile have in common
// that say nothing of their holder but its name and its key. It is taken from the
// first of them, as crypto/x509 encoded it; the others differ in serial number,
// validity, subject and key, and are encoded by filling these in.
type pattern struct {
	version    []byte // [0] of TBSCertificate
	algorithm  []byte // AlgorithmIdentifier of the signature
	issuer     []byte // Name
	extensions []byte // [3] of TBSCertificate
	signature  x509.SignatureAlgorithm
	hash       crypto.Hash // 0: the signer takes the message itself
}

// patterned reports whether t follows the pattern of its profile: whether no extension
// is of one certificate alone. One that is named like its issuer looks self-signed,
// and crypto/x509 leaves an extension out.
func (i *Issuer) patterned(t *Token) bool {
	p, c := t.profile, t.template
	return !p.shape.ca && !p.shape.keyID && !p.pointing && len(c.DNSNames)+len(c.IPAddresses)+len(c.URIs) == 0 &&
		c.Subject.CommonName != i.cert.Subject.CommonName
}

// signatureHashes are the signatures that follow a pattern.
var signatureHashes = map[x509.SignatureAlgorithm]crypto.Hash{
	x509.ECDSAWithSHA256: crypto.SHA256, x509.ECDSAWithSHA384: crypto.SHA384, x509.ECDSAWithSHA512: crypto.SHA512,
	x509.PureEd25519: 0,
}

// tbsCertificate is TBSCertificate (RFC 5280 §4.1) in its parts.
type tbsCertificate struct {
	Version    asn1.RawValue // [0]
	Serial     asn1.RawValue
	Algorithm  asn1.RawValue
	Issuer     asn1.RawValue
	Validity   asn1.RawValue
	Subject    asn1.RawValue
	SPKI       asn1.RawValue
	Extensions asn1.RawValue // [3]
}

// newPattern takes the pattern of a certificate that crypto/x509 made; nil if it is
// signed in another way, or the pattern does not give the same certificate again.
func newPattern(c *x509.Certificate, t *x509.Certificate) *pattern {
	hash, ok := signatureHashes[c.SignatureAlgorithm]
	var tbs tbsCertificate
	if rest, err := asn1.Unmarshal(c.RawTBSCertificate, &tbs); !ok || err != nil || len(rest) > 0 {
		return nil
	}
	out := &pattern{
		version: tbs.Version.FullBytes, algorithm: tbs.Algorithm.FullBytes, issuer: tbs.Issuer.FullBytes,
		extensions: tbs.Extensions.FullBytes, signature: c.SignatureAlgorithm, hash: hash,
	}
	if !bytes.Equal(out.fill(t, c.RawSubjectPublicKeyInfo), c.RawTBSCertificate) {
		return nil
	}
	return out
}

// fill returns the TBSCertificate of t, for the key spki in DER.
func (p *pattern) fill(t *x509.Certificate, spki []byte) []byte {
	const rest = 128 // of the name at its longest, and of all else that is not counted
	b := make([]byte, 0, len(p.algorithm)+len(p.issuer)+len(p.extensions)+len(spki)+len(t.Subject.CommonName)+rest)
	b = append(b, p.version...)
	serial := t.SerialNumber.Bytes()
	if serial[0]&0x80 != 0 { // else it would be negative
		serial = append([]byte{0}, serial...)
	}
	b = appendDER(b, asn1.TagInteger, serial)
	b = append(append(b, p.algorithm...), p.issuer...)
	b = appendDER(b, tagSequence, appendTime(appendTime(nil, t.NotBefore), t.NotAfter))
	b = appendName(b, t.Subject.CommonName)
	b = append(append(b, spki...), p.extensions...)
	return appendDER(nil, tagSequence, b)
}

// Identifier octets of what is constructed.
const (
	tagSequence = asn1.TagSequence | 0x20
	tagSet      = asn1.TagSet | 0x20
)

// appendDER appends a value of less than 64 KiB with its tag and length.
func appendDER(b []byte, tag byte, value []byte) []byte {
	const short, byteBits = 0x80, 8
	n := len(value)
	switch {
	case n < short:
		b = append(b, tag, byte(n))
	case n < 1<<byteBits:
		b = append(b, tag, short|1, byte(n))
	default:
		b = append(b, tag, short|2, byte(n>>byteBits), byte(n)) //nolint:gosec // G115: less than 64 KiB
	}
	return append(b, value...)
}

// appendTime appends a Time (RFC 5280 §4.1.2.5).
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	if year := t.Year(); year >= 1950 && year < 2050 {
		return appendDER(b, asn1.TagUTCTime, t.AppendFormat(nil, "060102150405Z"))
	}
	return appendDER(b, asn1.TagGeneralizedTime, t.AppendFormat(nil, "20060102150405Z"))
}

// derCommonName is oidCommonName in DER.
var derCommonName = []byte{asn1.TagOID, 3, 85, 4, 3}

// appendName appends a Name of a commonName alone, as crypto/x509 has it: a
// PrintableString where that is enough.
func appendName(b []byte, name string) []byte {
	tag := byte(asn1.TagPrintableString)
	if strings.ContainsFunc(name, func(r rune) bool { return !printable(r) }) {
		tag = asn1.TagUTF8String
	}
	attribute := appendDER(append([]byte(nil), derCommonName...), tag, []byte(name))
	return appendDER(b, tagSequence, appendDER(nil, tagSet, appendDER(nil, tagSequence, attribute)))
}

// printable reports whether a PrintableString may have r (X.680 §41.4).
func printable(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" '()+,-./:=?", r)
}

// sign returns the certificate of t as p has it, signed by i. The signature is
// checked as crypto/x509 checks those that it makes: a signer that fails must not
// give its key away.
func (p *pattern) sign(i *Issuer, t *x509.Certificate, spki []byte) ([]byte, error) {
	tbs := p.fill(t, spki)
	signature, err := crypto.SignMessage(i.signer, i.rand, tbs, p.hash)
	if err != nil {
		return nil, err
	}
	if err := i.cert.CheckSignature(p.signature, tbs, signature); err != nil {
		return nil, fmt.Errorf("signature returned by signer is invalid: %w", err)
	}
	b := append(make([]byte, 0, len(tbs)+len(p.algorithm)+len(signature)+8), tbs...) //nolint:mnd // tags and lengths
	b = append(b, p.algorithm...)
	b = appendDER(b, asn1.TagBitString, append([]byte{0}, signature...))
	return appendDER(nil, tagSequence, b), nil
}
