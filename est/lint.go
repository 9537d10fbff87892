package est

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// lint checks the certificate that t would become, before anything is signed.
// The rules are RFC 5280's for what our profiles can say.
func lint(p *Profile, t *x509.Certificate) error {
	if err := checkName(t.Subject.CommonName); err != nil {
		return err
	}
	names := len(t.DNSNames) + len(t.IPAddresses) + len(t.URIs)
	switch {
	case t.SerialNumber == nil || t.SerialNumber.Sign() <= 0 || t.SerialNumber.BitLen() > 159:
		return fmt.Errorf("%w: serial number (RFC 5280 §4.1.2.2)", ErrLint)
	case !t.NotBefore.Before(t.NotAfter):
		return fmt.Errorf("%w: validity %v to %v (RFC 5280 §4.1.2.5)", ErrLint, t.NotBefore, t.NotAfter)
	case t.NotBefore.Nanosecond() != 0 || t.NotAfter.Nanosecond() != 0:
		return fmt.Errorf("%w: fractions of a second (RFC 5280 §4.1.2.5)", ErrLint)
	case p.shape.host && names == 0:
		return fmt.Errorf("%w: %s without subjectAltName", ErrLint, p.kind)
	case p.shape.ca && names > 0:
		return fmt.Errorf("%w: CA with subjectAltName", ErrLint)
	case t.IsCA != p.shape.ca || t.IsCA != (t.KeyUsage&x509.KeyUsageCertSign != 0):
		return fmt.Errorf("%w: basicConstraints and keyUsage disagree (RFC 5280 §4.2.1.9)", ErrLint)
	}
	for _, d := range t.DNSNames {
		if err := checkDNS(d); err != nil {
			return err
		}
	}
	return nil
}

// checkName returns ErrName unless name can be a commonName (RFC 5280 A.1).
func checkName(name string) error {
	if name == "" || utf8.RuneCountInString(name) > MaxName || !utf8.ValidString(name) {
		return fmt.Errorf("%w: commonName of %d bytes", ErrName, len(name))
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return fmt.Errorf("%w: commonName %q", ErrName, name)
		}
	}
	return nil
}

// letters are those of a dNSName.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

// checkDNS returns ErrLint unless name is in preferred name syntax (RFC 1034
// §3.5), which RFC 5280 §4.2.1.6 demands.
func checkDNS(name string) error {
	if name == "" || len(name) > 253 {
		return fmt.Errorf("%w: dNSName of %d bytes", ErrLint, len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		foreign := strings.IndexFunc(label, func(r rune) bool { return !strings.ContainsRune(letters, r) }) >= 0
		if label == "" || len(label) > 63 || foreign || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("%w: dNSName %q", ErrLint, name)
		}
	}
	return nil
}

// inspect parses what was signed and compares it with what was meant. A
// difference is ErrLint; the certificate must then not leave the process.
func inspect(der []byte, p *Profile, t *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLint, err)
	}
	uris := func(a, b *url.URL) bool { return a.String() == b.String() }
	oids := func(a, b asn1.ObjectIdentifier) bool { return a.Equal(b) }
	same := c.Version == 3 && c.SerialNumber.Cmp(t.SerialNumber) == 0 &&
		c.Subject.CommonName == t.Subject.CommonName && len(c.Subject.Names) == 1 &&
		c.NotBefore.Equal(t.NotBefore) && c.NotAfter.Equal(t.NotAfter) &&
		c.KeyUsage == p.shape.usage && c.IsCA == p.shape.ca && bytes.Equal(c.SubjectKeyId, t.SubjectKeyId) &&
		slices.Equal(c.ExtKeyUsage, t.ExtKeyUsage) && slices.EqualFunc(c.UnknownExtKeyUsage, t.UnknownExtKeyUsage, oids) &&
		slices.Equal(c.DNSNames, t.DNSNames) && slices.EqualFunc(c.URIs, t.URIs, uris) &&
		len(c.IPAddresses) == len(t.IPAddresses) && len(c.EmailAddresses) == 0 && len(c.UnhandledCriticalExtensions) == 0 &&
		sameRevocation(c, t) && sameKey(c.PublicKey, key)
	if !same {
		return nil, fmt.Errorf("%w: signed certificate differs from the one prepared", ErrLint)
	}
	return c, nil
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(k crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// CheckServer is what a device demands of an EST or LwM2M server's certificate
// beside its chain: valid at now, for host, with serverAuth named (a certificate
// without extended key usages, such as a factory certificate, is none), and for
// an EST server with id-kp-cmcRA (RFC 7030 §3.6.1). It returns ErrExpired,
// ErrName or ErrForbidden. A zero now skips the validity, for devices without a clock.
func CheckServer(c *x509.Certificate, host string, registrar bool, now time.Time) error {
	if !now.IsZero() && (now.Before(c.NotBefore) || now.After(c.NotAfter)) {
		return fmt.Errorf("%w: %s", ErrExpired, c.Subject)
	}
	if err := c.VerifyHostname(host); err != nil {
		return fmt.Errorf("%w: %w", ErrName, err)
	}
	if !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || c.IsCA {
		return fmt.Errorf("%w: %s is not a server certificate", ErrForbidden, c.Subject)
	}
	isRA := slices.ContainsFunc(c.UnknownExtKeyUsage, func(o asn1.ObjectIdentifier) bool { return o.Equal(oidCMCRA) })
	if registrar && !isRA {
		return fmt.Errorf("%w: %s lacks id-kp-cmcRA", ErrForbidden, c.Subject)
	}
	return nil
}

// publicKeyBits returns the BIT STRING of a SubjectPublicKeyInfo.
func publicKeyBits(spki []byte) ([]byte, error) {
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if rest, err := asn1.Unmarshal(spki, &info); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: SubjectPublicKeyInfo", ErrKey)
	}
	return info.Key.Bytes, nil
}

func parseURIs(texts []string) ([]*url.URL, error) {
	var out []*url.URL
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil || !u.IsAbs() || u.String() != text {
			return nil, fmt.Errorf("%w: URI %q", ErrName, text)
		}
		out = append(out, u)
	}
	return out, nil
}

func errKind(p *Profile, want Kind) error {
	return fmt.Errorf("%w: %s is for %s, not %s", ErrProfile, p.name, p.kind, want)
}
