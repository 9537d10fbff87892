package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/est"
)

// establish makes the CA at the first start, and returns the purpose of the key
// that issues: issuing, or root where one CA is all. It returns ErrNoCA, or ErrPKI
// where another hierarchy is asked for than there is.
func (p *pki) establish(ctx context.Context, h config.Hierarchy) (keys.Name, error) {
	issuing, err := p.life.Generations(ctx, string(keys.Issuing))
	if err != nil {
		return "", err
	}
	root, err := p.life.Generations(ctx, string(keys.Root))
	if err != nil {
		return "", err
	}
	single := len(issuing) == 0 && len(root) > 0
	switch {
	case len(issuing) > 0 && h == config.HierarchySingle, single && h != "" && h != config.HierarchySingle:
		return "", fmt.Errorf("%w: the CA there is not %q (ca.hierarchy), and cannot become it", ErrPKI, h)
	case len(issuing) > 0:
		return keys.Issuing, nil
	case single:
		return keys.Root, nil
	case h == config.HierarchySubordinate:
		return "", ErrNoCA
	case h == config.HierarchySingle:
		return keys.Root, p.makeSingle(ctx)
	}
	return keys.Issuing, p.makeOwn(ctx)
}

// ownPathLen is that of our roots: one CA below, and one more for those verifiers
// that count the certificates between two roots (RFC 5280 §6.1.4 (l) does not).
const ownPathLen = 2

// root returns the certificate of the first root, which is made if need be. Its key
// may be elsewhere once the issuing CA is made.
func (p *pki) root() (*x509.Certificate, error) {
	cert, err := p.read(keys.Root)
	if !errors.Is(err, fs.ErrNotExist) {
		return cert, err
	}
	key, err := p.ring.Key(keys.Root)
	if err != nil {
		return nil, err
	}
	profile, err := est.DefaultRoot(ownPathLen)
	if err != nil {
		return nil, err
	}
	cert, err = est.NewRoot(est.RootOptions{Name: p.name + " Root CA", Signer: key, Now: time.Now(), Profile: profile})
	if err != nil {
		return nil, err
	}
	return cert, p.write(keys.Root, cert)
}

// makeSingle makes the root that issues everything, or takes that of a factory.
func (p *pki) makeSingle(ctx context.Context) error {
	root, err := p.root()
	if err != nil {
		return err
	}
	return p.life.Adopt(ctx, string(keys.Root), sum(root.Raw), root.NotBefore)
}

// makeOwn makes root and issuing CA. The issuing CA is recorded first: a root alone
// would be a CA that is all in one.
func (p *pki) makeOwn(ctx context.Context) error {
	root, err := p.root()
	if err != nil {
		return err
	}
	key, err := p.ring.Key(keys.Issuing)
	if err != nil {
		return err
	}
	below := func(c *x509.Certificate) bool { return c.CheckSignatureFrom(root) == nil }
	issuing, err := p.load(keys.Issuing, key, below, func() (*x509.Certificate, error) {
		by, err := p.issuer(keys.Root, root)
		if err != nil {
			return nil, err
		}
		return est.NewIssuing(by, p.name+" Issuing CA", key.Public(), nil, time.Now())
	})
	if err != nil {
		return err
	}
	if err := p.life.Adopt(ctx, string(keys.Issuing), sum(issuing.cert.Raw), issuing.cert.NotBefore); err != nil {
		return err
	}
	return p.life.Adopt(ctx, string(keys.Root), sum(root.Raw), root.NotBefore)
}

// issuer returns who signs with the key of that name.
func (p *pki) issuer(name keys.Name, cert *x509.Certificate) (*est.Issuer, error) {
	key, err := p.ring.Find(name)
	if err != nil {
		return nil, err
	}
	return est.NewIssuer(key, cert, nil)
}

// roots returns the certificates of all own roots.
func (p *pki) roots(ctx context.Context) ([]*x509.Certificate, error) {
	g, err := p.life.Generations(ctx, string(keys.Root))
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for _, generation := range g {
		c, err := p.read(nameOf(keys.Root, generation.Number))
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// authority loads what issues, or issued, under that name. Above it is the chain
// that was installed with it, or the own root that signed it.
func (p *pki) authority(name keys.Name, roots []*x509.Certificate) (est.Authority, error) {
	cert, err := p.read(name)
	if err != nil {
		return est.Authority{}, err
	}
	key, err := p.ring.Find(name)
	if err != nil {
		return est.Authority{}, err
	}
	a := est.Authority{Signer: key, Certificate: cert}
	a.Parents, err = p.readAll(name + fileChain)
	if !errors.Is(err, fs.ErrNotExist) || cert.CheckSignatureFrom(cert) == nil {
		return a, ignore(err, fs.ErrNotExist)
	}
	for _, root := range roots {
		if cert.CheckSignatureFrom(root) == nil {
			a.Parents = []*x509.Certificate{root}
			return a, nil
		}
	}
	return a, fmt.Errorf("%w: nobody above %s is known", ErrPKI, name)
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
