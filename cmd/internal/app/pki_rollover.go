package app

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"time"

	"steward/cmd/internal/keys"
	"steward/est"
)

// begin begins the roll-over of a key: its successor is made and recorded. What
// was made before a crash is used. Where nobody has to know the new key first it
// is in use at once.
func (p *pki) begin(ctx context.Context, purpose keys.Name) error {
	g, err := p.life.Generations(ctx, string(purpose))
	if err != nil {
		return err
	}
	announced := purpose == keys.Root || purpose == keys.Issuing || slices.Contains(told, purpose)
	switch {
	case g.Of(est.KeyActive) == nil:
		return fmt.Errorf("%w: there is no key %s here", est.ErrRollover, purpose)
	case g.Of(est.KeyNext) != nil && announced:
		return fmt.Errorf("%w: %s has a next key already: finish or withdraw it", est.ErrRollover, purpose)
	case g.Of(est.KeyNext) != nil: // a crash was between the two steps below
		return p.life.Finish(ctx, string(purpose))
	}
	number := g.Following()
	name := nameOf(purpose, number)
	if purpose == keys.Issuing && p.isForeign(g) {
		return fmt.Errorf("%w: another CA certifies this one: steward ca request, then steward ca install", est.ErrRollover)
	}
	key, err := p.ring.Key(name)
	if err != nil {
		return err
	}
	cert, err := p.succeed(ctx, purpose, name, nameOf(purpose, g.Of(est.KeyActive).Number), key)
	if err != nil {
		return err
	}
	var hash est.Hash
	if cert != nil {
		hash = sum(cert.Raw)
	}
	if err := p.life.Begin(ctx, string(purpose), number, hash); err != nil || announced {
		return err
	}
	return p.life.Finish(ctx, string(purpose))
}

// succeed makes the certificate of a new generation; nil for one that is issued
// when the key is first used.
func (p *pki) succeed(ctx context.Context, purpose, name, before keys.Name, key crypto.Signer) (
	*x509.Certificate, error,
) {
	switch {
	case purpose == keys.Root:
		return p.succeedRoot(name, before, key)
	case purpose == keys.Issuing:
		return p.succeedIssuing(ctx, name, before, key)
	case slices.Contains(told, purpose):
		present, err := p.read(before)
		if err != nil {
			return nil, err
		}
		p.name = present.Subject.CommonName
		if names := certNames(present); len(names) > 0 {
			p.host = names[0]
		}
		id, err := p.certified(ctx, name, key, func(c *x509.Certificate) bool { return p.live(ctx, c) })
		return id.cert, err
	}
	return nil, nil //nolint:nilnil // there is none yet
}

// certNames returns the hosts that a certificate is for.
func certNames(c *x509.Certificate) []string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// succeedIssuing certifies a new issuing CA by the root that will be.
func (p *pki) succeedIssuing(ctx context.Context, name, before keys.Name, key crypto.Signer) (
	*x509.Certificate, error,
) {
	roots, err := p.life.Generations(ctx, string(keys.Root))
	if err != nil {
		return nil, err
	}
	by := roots.Of(est.KeyNext)
	if by == nil {
		by = roots.Of(est.KeyActive)
	}
	if by == nil {
		return nil, fmt.Errorf("%w: there is no own root", est.ErrRollover)
	}
	rootName := nameOf(keys.Root, by.Number)
	root, err := p.read(rootName)
	if err != nil {
		return nil, err
	}
	present, err := p.read(before)
	if err != nil {
		return nil, err
	}
	if err := p.remove(name + fileChain); err != nil { // of an installation that ended early
		return nil, err
	}
	below := func(c *x509.Certificate) bool { return c.CheckSignatureFrom(root) == nil }
	id, err := p.load(name, key, below, func() (*x509.Certificate, error) {
		issuer, err := p.issuer(rootName, root)
		if err != nil {
			return nil, err
		}
		return est.NewIssuing(issuer, numbered(present.Subject.CommonName, name), key.Public(), nil, time.Now())
	})
	if err != nil {
		return nil, err
	}
	return id.cert, p.cross(before, name, id)
}

// cross writes what leads from one CA to the other, if both may certify a CA.
func (p *pki) cross(before, name keys.Name, next identity) error {
	present, err := p.read(before)
	if err != nil {
		return err
	}
	if err := errors.Join(p.remove(name+fileOldWithNew), p.remove(name+fileNewWithOld)); err != nil {
		return err
	}
	if name.Purpose() == keys.Issuing && (present.MaxPathLenZero || next.cert.MaxPathLenZero) {
		return nil
	}
	older, err := p.issuer(before, present)
	if err != nil {
		return err
	}
	newer, err := est.NewIssuer(next.key, next.cert, nil)
	if err != nil {
		return err
	}
	oldWithNew, newWithOld, err := est.Cross(older, newer)
	if err != nil {
		return err
	}
	return errors.Join(p.write(name+fileOldWithNew, oldWithNew), p.write(name+fileNewWithOld, newWithOld))
}

var lastNumber = regexp.MustCompile(`( [0-9]+)?$`)

// numbered returns the name of a CA with the number of its key's generation: CRLs
// are looked for by names.
func numbered(name string, generation keys.Name) string {
	number := string(generation[len(generation.Purpose())+1:])
	return lastNumber.ReplaceAllString(name, "") + " " + number
}

// succeedRoot makes a new root of the same name, and what leads from one to the
// other (RFC 4210 §4.4).
func (p *pki) succeedRoot(name, before keys.Name, key crypto.Signer) (*x509.Certificate, error) {
	present, err := p.read(before)
	if err != nil {
		return nil, err
	}
	id, err := p.load(name, key, always, func() (*x509.Certificate, error) { return successorOf(present, key) })
	if err != nil {
		return nil, err
	}
	return id.cert, p.cross(before, name, id)
}

// successorOf makes a root like the present one.
func successorOf(present *x509.Certificate, key crypto.Signer) (*x509.Certificate, error) {
	profile, err := est.DefaultRoot(ownPathLen)
	if noExpiry := 9999; present.NotAfter.Year() == noExpiry { // the root of a factory
		profile, err = est.DefaultFactoryRoot()
	}
	if err != nil {
		return nil, err
	}
	return est.NewRoot(est.RootOptions{
		Name: present.Subject.CommonName, Signer: key, Now: time.Now(), Profile: profile,
	})
}

// finish has the next key take the place of the present one.
func (p *pki) finish(ctx context.Context, purpose keys.Name) error {
	if purpose == keys.Root {
		if err := p.checkBelow(ctx, est.KeyActive); err != nil {
			return err
		}
	}
	return p.life.Finish(ctx, string(purpose))
}

// withdraw gives the next key up.
func (p *pki) withdraw(ctx context.Context, purpose keys.Name) error {
	if purpose == keys.Root {
		if err := p.checkBelow(ctx, est.KeyNext); err != nil {
			return err
		}
	}
	return p.life.Withdraw(ctx, string(purpose))
}

// checkBelow returns ErrRollover while an issuing CA is below the root in that
// state, which is to go.
func (p *pki) checkBelow(ctx context.Context, state est.KeyState) error {
	roots, err := p.life.Generations(ctx, string(keys.Root))
	if err != nil {
		return err
	}
	goes := roots.Of(state)
	if goes == nil {
		return nil // the step itself says so
	}
	root, err := p.read(nameOf(keys.Root, goes.Number))
	if err != nil {
		return err
	}
	issuing, err := p.life.Generations(ctx, string(keys.Issuing))
	if err != nil {
		return err
	}
	for _, generation := range issuing {
		c, err := p.read(nameOf(keys.Issuing, generation.Number))
		if err != nil {
			return err
		}
		if generation.State != est.KeyPast && c.CheckSignatureFrom(root) == nil {
			return fmt.Errorf("%w: %s is below the root that would go: roll issuing over first", est.ErrRollover,
				c.Subject.CommonName)
		}
	}
	return nil
}

// isForeign reports whether another CA certified the active issuing CA.
func (p *pki) isForeign(g est.Generations) bool {
	_, err := p.readAll(nameOf(keys.Issuing, g.Of(est.KeyActive).Number) + fileChain)
	return !errors.Is(err, fs.ErrNotExist)
}
