package services

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/est/c509"
	"steward/lwm2m/fleet"
	"steward/web"
)

// certificates implements web.Certificates.
type certificates struct {
	*base

	counted counted
}

// ListCertificates implements web.Certificates. Its cursors are hashes.
func (s *certificates) ListCertificates(
	ctx context.Context, f web.CertificateFilter, p web.Page,
) (web.List[web.Certificate], error) {
	none := web.List[web.Certificate]{Items: []web.Certificate{}}
	now := s.Now()
	q, empty, err := s.certificateQuery(ctx, f, now)
	if err != nil || empty {
		return none, err
	}
	q.Limit = limit(p)
	if p.After != "" {
		var ok bool
		if q.Before, ok = parseHash(p.After); !ok {
			return none, errCursor()
		}
	}
	rows, err := s.view.Certificates(ctx, q)
	if errors.Is(err, est.ErrUnknown) {
		return none, errCursor()
	}
	if err != nil {
		return none, translate(err)
	}
	return paged(p, rows, func(l sqlite.CertificateLine) string { return hex.EncodeToString(l.Hash[:]) },
		func(l sqlite.CertificateLine) (web.Certificate, error) { return showCertificate(l, now), nil })
}

// certificateQuery turns a filter into a query. It is empty for a device that can
// have no certificate.
func (s *certificates) certificateQuery(ctx context.Context, f web.CertificateFilter, now time.Time) (
	q sqlite.CertificateQuery, empty bool, err error,
) {
	q = sqlite.CertificateQuery{
		State: string(f.State), Text: f.Text, Kind: est.Kind(f.Kind), Profile: f.Profile, Now: now,
	}
	switch f.State {
	case "", web.CertificateLive, web.CertificateExpired, web.CertificateRevoked:
	default:
		return q, false, web.Invalid("state", "live, expired or revoked")
	}
	var ok bool
	if q.Issuer, ok = parseHash(f.Issuer); !ok && f.Issuer != "" {
		return q, false, web.Invalid("issuer", "the id of a certificate")
	}
	if q.SPKI, ok = parseHash(f.Key); !ok && f.Key != "" {
		return q, false, web.Invalid("key", "the hexadecimal SHA-256 of a public key")
	}
	if f.Within > 0 {
		q.Until = now.Add(time.Duration(f.Within) * day)
	}
	if f.Device == "" {
		return q, false, nil
	}
	l, err := s.find(ctx, f.Device)
	q.Factory = est.Hash(l.Factory)
	return q, l.Factory == (fleet.Factory{}), err
}

// parseHash reads 64 hexadecimal digits. Zero is no hash.
func parseHash(text string) (h est.Hash, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(h) {
		return h, false
	}
	copy(h[:], b)
	return h, h != est.Hash{}
}

// showCertificate returns one line of the inventory. A certificate that was
// renewed for good counts as revoked, though nobody has written it down yet.
func showCertificate(l sqlite.CertificateLine, now time.Time) web.Certificate {
	c := web.Certificate{
		ID: hex.EncodeToString(l.Hash[:]), Serial: l.Serial, Subject: l.Name, Kind: string(l.Kind), Profile: l.Profile,
		Device: string(l.Device),
		State:  web.CertificateLive, NotBefore: l.NotBefore, NotAfter: l.NotAfter, RevokedAt: l.RevokedAt,
		Reason: string(l.Reason),
	}
	switch err := l.Live(now); {
	case errors.Is(err, est.ErrRevoked):
		c.State = web.CertificateRevoked
		if l.Status != est.StatusRevoked {
			c.RevokedAt, c.Reason = l.ReplacedAt.Add(est.RekeyOverlap), string(est.Superseded)
		}
	case err != nil:
		c.State = web.CertificateExpired
	}
	if cert, err := l.Certificate(); err == nil { // the inventory holds what parsed when it came
		c.Subject = cmp.Or(l.Name, cert.Subject.String())
		c.Issuer = cmp.Or(cert.Issuer.CommonName, cert.Issuer.String())
	}
	return c
}

// Certificate implements web.Certificates.
func (s *certificates) Certificate(ctx context.Context, id string) (web.CertificateDetail, error) {
	l, err := s.line(ctx, id)
	if err != nil {
		return web.CertificateDetail{}, err
	}
	d, err := showDetail(l, s.Now())
	return d, translate(err)
}

func (s *certificates) line(ctx context.Context, id string) (sqlite.CertificateLine, error) {
	hash, ok := parseHash(id)
	if !ok {
		return sqlite.CertificateLine{}, notFound("certificate", id)
	}
	l, err := s.view.Certificate(ctx, hash)
	if errors.Is(err, est.ErrUnknown) {
		return l, notFound("certificate", id)
	}
	return l, translate(err)
}

func showDetail(l sqlite.CertificateLine, now time.Time) (web.CertificateDetail, error) {
	cert, err := l.Certificate()
	if err != nil {
		return web.CertificateDetail{}, err
	}
	short, _ := c509.FromDER(l.DER) // an error: there is no C509 of it, which is no fault
	return web.CertificateDetail{
		DERBytes: len(l.DER), C509Bytes: len(short),
		Certificate: showCertificate(l, now), SPKI: hex.EncodeToString(l.SPKI[:]), Key: keyName(cert),
		KeyUsage: usages(cert), Names: alternativeNames(cert),
		PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.DER})),
	}, nil
}

// keyName says what kind of key a certificate is for.
func keyName(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return c.PublicKeyAlgorithm.String()
}

// usageNames are the key usages (RFC 5280 §4.2.1.3) and extended key usages
// (§4.2.1.12) by their names there.
var (
	usageNames = []struct {
		usage x509.KeyUsage
		name  string
	}{
		{x509.KeyUsageDigitalSignature, "digitalSignature"},
		{x509.KeyUsageContentCommitment, "contentCommitment"},
		{x509.KeyUsageKeyEncipherment, "keyEncipherment"},
		{x509.KeyUsageDataEncipherment, "dataEncipherment"},
		{x509.KeyUsageKeyAgreement, "keyAgreement"},
		{x509.KeyUsageCertSign, "keyCertSign"},
		{x509.KeyUsageCRLSign, "cRLSign"},
	}
	extendedNames = map[x509.ExtKeyUsage]string{
		x509.ExtKeyUsageAny: "anyExtendedKeyUsage", x509.ExtKeyUsageServerAuth: "serverAuth",
		x509.ExtKeyUsageClientAuth: "clientAuth", x509.ExtKeyUsageCodeSigning: "codeSigning",
	}
)

func usages(c *x509.Certificate) (out []string) {
	for _, u := range usageNames {
		if c.KeyUsage&u.usage != 0 {
			out = append(out, u.name)
		}
	}
	for _, u := range c.ExtKeyUsage {
		if name, ok := extendedNames[u]; ok {
			out = append(out, name)
		}
	}
	for _, oid := range c.UnknownExtKeyUsage {
		out = append(out, oid.String())
	}
	return out
}

func alternativeNames(c *x509.Certificate) []string {
	out := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	for _, u := range c.URIs {
		out = append(out, u.String())
	}
	return append(out, c.EmailAddresses...)
}

// maxReason bounds what people write for the audit row, in bytes.
const maxReason = 500

// Revoke implements web.Certificates.
func (s *certificates) Revoke(
	ctx context.Context, by web.Actor, id string, r web.Revocation,
) (web.Certificate, error) {
	if !slices.Contains(web.RevocationReasons(), r.Reason) {
		return web.Certificate{}, web.Invalid("reason", "one of those of RFC 5280 §5.3.1 that are offered")
	}
	if err := checkText("comment", r.Why, maxReason); err != nil {
		return web.Certificate{}, err
	}
	l, err := s.line(ctx, id)
	if err != nil {
		return web.Certificate{}, err
	}
	switch {
	case l.Status == est.StatusRevoked:
		return web.Certificate{}, conflict("the certificate is revoked already")
	case l.Kind == est.KindRoot || l.Kind == est.KindIssuing:
		return web.Certificate{}, conflict("a certificate of the CA itself cannot be revoked here")
	}
	if err := s.CA.As(by.String()).Revoke(ctx, l.Hash, est.Reason(r.Reason), r.Why); err != nil {
		return web.Certificate{}, translate(err)
	}
	// From here on it is done; what follows must not depend on who waits.
	ctx = context.WithoutCancel(ctx)
	s.Dropped(l.Hash, l.Device)
	if err := s.dismiss(ctx, l); err != nil {
		return web.Certificate{}, translate(err)
	}
	if l, err = s.line(ctx, id); err != nil {
		return web.Certificate{}, err
	}
	return showCertificate(l, s.Now()), nil
}

// dismiss ends the registration of a device that has no live certificate left.
func (s *certificates) dismiss(ctx context.Context, l sqlite.CertificateLine) error {
	if l.Device == "" || l.Kind != est.KindOperational {
		return nil
	}
	left, err := s.view.Certificates(ctx, sqlite.CertificateQuery{
		State: string(web.CertificateLive), Factory: l.Factory, Now: s.Now(), Limit: 1,
	})
	if err != nil || len(left) > 0 {
		return err
	}
	return s.Server.Dismiss(ctx, l.Device, "its certificate was revoked")
}

// Authorities implements web.Certificates.
func (s *certificates) Authorities(ctx context.Context) ([]web.CertificateDetail, error) {
	var out []web.CertificateDetail
	for _, c := range s.CA.Chain() {
		l, err := s.view.Certificate(ctx, sha256.Sum256(c.Raw))
		if err != nil {
			return nil, translate(err)
		}
		d, err := showDetail(l, s.Now())
		if err != nil {
			return nil, translate(err)
		}
		out = append(out, d)
	}
	return out, nil
}
