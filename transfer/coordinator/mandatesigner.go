package coordinator

import (
	"context"
	"crypto/x509"
	"fmt"

	"steward/transfer"
)

// A mandator is the outgoing provider of a transfer: it may sign a mandate itself.
type mandator struct {
	name        string
	certificate []byte
	former      [][]byte // that it signed with before
}

func ourselves(c *Coordinator) mandator {
	return mandator{name: c.o.Name, certificate: c.o.Signer.Certificate}
}

func (p Partner) mandator() mandator { return mandator{p.Name, p.Signing, p.Former} }

// A mandateSigner is whose key has signed a mandate.
type mandateSigner struct {
	certificate []byte // nil: nobody's
	name        string
	user        string // id of the service user; "": the outgoing provider itself
	former      bool   // the key was replaced since
}

// verifyMandate checks a mandate by its signer: a service user whose key is pinned, or the
// outgoing provider itself. By a key that was replaced since, only the very mandates count
// under which a transfer stands here: they were verified while the key counted. Of another
// nobody can say when it was signed: what it says of that, who has stolen the key may have
// written.
func (c *Coordinator) verifyMandate(ctx context.Context, raw []byte, outgoing mandator) (
	signed *transfer.Signed[transfer.Mandate], self bool, err error,
) {
	said, err := transfer.ParseMandate(raw)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	by, err := c.mandateSigner(ctx, said.Signer, outgoing)
	if err != nil {
		return nil, false, err
	}
	if by.certificate == nil || said.Body.Issuer != by.name {
		return nil, false, fmt.Errorf("%w: mandate of %.80q: %w: nobody known", ErrInvalid, said.Body.Issuer,
			transfer.ErrSigner)
	}
	certificate, err := x509.ParseCertificate(by.certificate)
	if err != nil {
		return nil, false, err
	}
	signed, err = transfer.VerifyMandate(raw, certificate)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if self = by.user == ""; !by.former {
		return signed, self, c.signed(ctx, by.user, by.certificate)
	}
	stands, err := c.stands(ctx, signed.Hash)
	if err == nil && !stands {
		err = fmt.Errorf("%w: mandate of %.80q: %w: the key was replaced", ErrInvalid, by.name, transfer.ErrSigner)
	}
	return signed, self, err
}

// mandateSigner finds whose key has an identifier: those of today come first.
func (c *Coordinator) mandateSigner(ctx context.Context, by transfer.KeyID, outgoing mandator) (mandateSigner, error) {
	if by == transfer.KeyIDOf(outgoing.certificate) {
		return mandateSigner{certificate: outgoing.certificate, name: outgoing.name}, nil
	}
	partners, err := c.o.Store.ListPartners(ctx)
	if err != nil {
		return mandateSigner{}, err
	}
	var found mandateSigner
	for _, der := range outgoing.former {
		if by == transfer.KeyIDOf(der) {
			found = mandateSigner{certificate: der, name: outgoing.name, former: true}
		}
	}
	for _, p := range partners {
		if p.Kind != ServiceUser || !p.Admitted() {
			continue
		}
		if der := p.signingOf(by); der != nil {
			return mandateSigner{certificate: der, name: p.Name, user: p.ID}, nil
		}
		if der := p.signedOnce(by); der != nil {
			found = mandateSigner{certificate: der, name: p.Name, user: p.ID, former: true}
		}
	}
	return found, nil
}

// stands reports whether a transfer here is, or was, under the mandate with a hash.
func (c *Coordinator) stands(ctx context.Context, mandate transfer.Hash) (bool, error) {
	before := ""
	for {
		page, err := c.o.Store.ListTransfers(ctx, before, dueBatch)
		if err != nil {
			return false, err
		}
		for _, t := range page {
			if before = t.ID; t.Mandate == mandate || t.Moved && t.MovedMandate == mandate {
				return true, nil
			}
		}
		if len(page) < dueBatch {
			return false, nil
		}
	}
}
