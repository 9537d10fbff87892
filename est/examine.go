package est

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// maxSkew is by how much the clock of an external CA may be ahead of ours: its
// certificates wait until they are valid.
const maxSkew = 10 * time.Minute

// Bounds of an external CA's answer: many times what a constrained device takes.
const (
	maxAnswer      = 32 << 10 // bytes
	maxAnswerCerts = 8
)

// splitDER takes certificates in DER apart that stand one after the other.
func splitDER(der []byte) ([][]byte, error) {
	var out [][]byte
	for len(der) > 0 {
		var one asn1.RawValue
		rest, err := asn1.Unmarshal(der, &one)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUpstream, err)
		}
		out, der = append(out, one.FullBytes), rest
	}
	return out, nil
}

// examine returns the certificate that answers e, leaf first in chain, and how it
// stands in the inventory. It returns ErrUpstream, which says why, unless it is for
// the key and the name of the request, of the external CA, good now, and new.
func (ca *CA) examine(ctx context.Context, e Errand, chain [][]byte) (*x509.Certificate, Record, error) {
	if len(chain) == 0 || len(chain) > maxAnswerCerts || len(slices.Concat(chain...)) > maxAnswer {
		return nil, Record{}, fmt.Errorf("%w: %d certificates", ErrUpstream, len(chain))
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, Record{}, fmt.Errorf("%w: %w", ErrUpstream, err)
	}
	if err := ca.suits(e, leaf); err != nil {
		return nil, Record{}, err
	}
	issuer, err := ca.leads(leaf, chain[1:])
	if err != nil {
		return nil, Record{}, err
	}
	r := newRecord(leaf, sha256.Sum256(issuer.Raw), KindOperational, ca.o.Profiles.Operational.name, ca.now())
	_, err = ca.o.Store.Certificate(ctx, r.Hash)
	switch {
	case err == nil:
		return nil, Record{}, fmt.Errorf("%w: this certificate was issued before", ErrUpstream)
	case !errors.Is(err, ErrUnknown):
		return nil, Record{}, err
	}
	return leaf, r, nil
}

// suits returns ErrUpstream unless c is what e asked for: the key and the names are
// those of the request, and it is a device's certificate, good now. It returns a
// *PendingError for one that is good shortly.
func (ca *CA) suits(e Errand, c *x509.Certificate) error {
	csr, err := ParseCSR(e.Request)
	if err != nil {
		return err
	}
	names := 0
	for _, n := range c.Subject.Names {
		if n.Type.Equal(oidCommonName) {
			names++
		}
	}
	var uris []string
	for _, u := range c.URIs {
		uris = append(uris, u.String())
	}
	foreign := func(got, asked []string) bool {
		return slices.ContainsFunc(got, func(n string) bool { return !slices.Contains(asked, n) })
	}
	now := ca.now()
	switch {
	case sha256.Sum256(c.RawSubjectPublicKeyInfo) != e.SPKI:
		return fmt.Errorf("%w: it is for another key", ErrUpstream)
	case names != 1 || c.Subject.CommonName != e.Name:
		return fmt.Errorf("%w: its subject is %q, not %q", ErrUpstream, c.Subject, e.Name)
	case foreign(c.DNSNames, csr.req.DNSNames) || foreign(uris, csr.uris()) ||
		len(c.EmailAddresses) > 0 || len(c.IPAddresses) > 0:
		return fmt.Errorf("%w: a subjectAltName was not asked for", ErrUpstream)
	case c.IsCA || c.KeyUsage&x509.KeyUsageCertSign != 0:
		return fmt.Errorf("%w: it is of a CA", ErrUpstream)
	case now.Before(c.NotBefore) && c.NotBefore.Sub(now) <= maxSkew:
		return &PendingError{Retry: c.NotBefore.Sub(now), What: "the certificate is not valid yet"}
	case now.Before(c.NotBefore) || now.After(c.NotAfter):
		return fmt.Errorf("%w: it is valid from %s to %s", ErrUpstream, c.NotBefore, c.NotAfter)
	case c.NotAfter.Sub(now) > maxLeafValidity:
		return fmt.Errorf("%w: it is valid until %s, longer than ten years", ErrUpstream, c.NotAfter)
	}
	return ca.o.Profiles.Operational.accepts(c.PublicKey)
}

// leads returns the issuer of c, if a chain leads from it to an anchor of the
// external CA, for the authentication of a client.
func (ca *CA) leads(c *x509.Certificate, above [][]byte) (*x509.Certificate, error) {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, a := range ca.o.Upstream.Anchors() {
		roots.AddCert(a)
	}
	for _, der := range above {
		parent, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUpstream, err)
		}
		between.AddCert(parent)
	}
	chains, err := c.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: ca.now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: it does not lead to an anchor: %w", ErrUpstream, err)
	}
	if len(chains[0]) < 2 { //nolint:mnd // an anchor itself is nobody's certificate
		return nil, fmt.Errorf("%w: it is an anchor", ErrUpstream)
	}
	return chains[0][1], nil
}

// above returns the certificates above r: those of our own authority, or the
// external CA's anchors.
func (ca *CA) above(r Record) []*x509.Certificate {
	a := ca.authority(r)
	if ca.o.Upstream != nil && a.Hash() != r.Issuer {
		return ca.o.Upstream.Anchors()
	}
	return a.Chain()
}
