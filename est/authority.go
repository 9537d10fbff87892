package est

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
)

// An Authority is a key that issues, or did so earlier, with its certificate and
// those above it, the root last; Parents is empty if Certificate is a root.
type Authority struct {
	Signer      crypto.Signer
	Certificate *x509.Certificate
	Parents     []*x509.Certificate
}

// Hash names the authority: Record.Issuer of what it issued.
func (a Authority) Hash() Hash { return sha256.Sum256(a.Certificate.Raw) }

// Chain returns Certificate and those above it.
func (a Authority) Chain() []*x509.Certificate {
	return append([]*x509.Certificate{a.Certificate}, a.Parents...)
}

// check returns ErrOptions unless a can sign and each of its parents issued the
// certificate before.
func (a Authority) check() error {
	if _, err := NewIssuer(a.Signer, a.Certificate, nil); err != nil {
		return err
	}
	child := a.Certificate
	for _, p := range a.Parents {
		err := child.CheckSignatureFrom(p)
		if err == nil && !bytes.Equal(child.RawIssuer, p.RawSubject) {
			err = fmt.Errorf("%w: it names %s", ErrName, child.Issuer)
		}
		if err != nil {
			return fmt.Errorf("%w: %s did not issue %s: %w", ErrOptions, p.Subject, child.Subject, err)
		}
		child = p
	}
	return nil
}

// checkAuthorities checks all of them. Two with one name and one key would have
// to share a CRL (RFC 5280 §5), yet know only what they issued themselves.
func checkAuthorities(all []Authority) error {
	for i, a := range all {
		if err := a.check(); err != nil {
			return err
		}
		for _, b := range all[:i] {
			if slices.Equal(a.Certificate.RawSubjectPublicKeyInfo, b.Certificate.RawSubjectPublicKeyInfo) {
				return fmt.Errorf("%w: two authorities have the key of %s", ErrOptions, a.Certificate.Subject)
			}
		}
	}
	return nil
}

// Authorities returns the current authority, which issues, then the earlier ones
// whose certificates still live: there are CRLs and statuses of each.
func (ca *CA) Authorities() []Authority {
	current := Authority{Signer: ca.o.Signer, Certificate: ca.o.Issuer, Parents: ca.o.Parents}
	return append([]Authority{current}, ca.o.Previous...)
}

// Serving returns the authority of our own servers' certificates.
func (ca *CA) Serving() Authority {
	if ca.o.ServedByPrevious {
		return ca.o.Previous[0]
	}
	return ca.Authorities()[0]
}

// authority returns the one that issued r; the current one if none did.
func (ca *CA) authority(r Record) Authority {
	all := ca.Authorities()
	for _, a := range all {
		if a.Hash() == r.Issuer {
			return a
		}
	}
	return all[0]
}

// Published returns what a client of /crts gets: the current authority's chain,
// then Options.Published, none twice.
func (ca *CA) Published() []*x509.Certificate {
	out := ca.Chain()
	for _, c := range ca.o.Published {
		if !slices.ContainsFunc(out, c.Equal) {
			out = append(out, c)
		}
	}
	return out
}
