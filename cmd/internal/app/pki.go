package app

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/est"
)

// ErrPKI reports a certificate file that cannot be used.
var ErrPKI = errors.New("unusable certificate file")

// renewBefore is how long before their end our own certificates are renewed at
// start: a server restarted once a quarter never meets it.
const renewBefore = 90 * 24 * time.Hour

// A pki is the provider's own keys and certificates.
type pki struct {
	ring     *keys.Ring
	dir      *directory
	ca       *est.CA
	issuer   identity // of ca
	server   identity
	peer     identity
	transfer identity
	suit     identity
	restored est.Restored // what the database had forgotten
}

// An identity is a key with its certificate.
type identity struct {
	key  crypto.Signer
	cert *x509.Certificate
}

// openPKI loads the CA of the data directory, or makes one at the first start. o
// says what the CA works with beside its keys and certificates.
func openPKI(ctx context.Context, dir *directory, ring *keys.Ring, cfg config.Config, o est.Options) (*pki, error) {
	p := &pki{ring: ring, dir: dir}
	root, err := p.root(cfg.Name)
	if err != nil {
		return nil, err
	}
	issuing, err := p.issuing(cfg.Name, root)
	if err != nil {
		return nil, err
	}
	p.issuer = issuing
	o.Signer, o.Issuer, o.Parents = issuing.key, issuing.cert, []*x509.Certificate{root.cert}
	p.ca, err = est.NewCA(o)
	if err != nil {
		return nil, err
	}
	if err := p.ca.Adopt(ctx); err != nil {
		return nil, err
	}
	if p.restored, err = p.ca.Restore(ctx); err != nil {
		return nil, err
	}
	return p, p.leaves(ctx, cfg.Name, cfg.Host)
}

func (p *pki) root(name string) (identity, error) {
	key, err := p.ring.Key(keys.Root)
	if err != nil {
		return identity{}, err
	}
	return p.load(keys.Root, key, func(*x509.Certificate) bool { return true }, func() (*x509.Certificate, error) {
		return est.NewRoot(est.RootOptions{Name: name + " Root CA", Signer: key, Now: time.Now()})
	})
}

func (p *pki) issuing(name string, root identity) (identity, error) {
	key, err := p.ring.Key(keys.Issuing)
	if err != nil {
		return identity{}, err
	}
	issuer, err := est.NewIssuer(root.key, root.cert, nil)
	if err != nil {
		return identity{}, err
	}
	return p.load(keys.Issuing, key, func(c *x509.Certificate) bool { return c.CheckSignatureFrom(root.cert) == nil },
		func() (*x509.Certificate, error) {
			return est.NewIssuing(issuer, name+" Issuing CA", key.Public(), nil, time.Now())
		})
}

// leaves loads or issues the end-entity certificates. The server's and the peer
// listener's follow the host name.
func (p *pki) leaves(ctx context.Context, name, host string) error {
	forHost := func(c *x509.Certificate) bool { return c.VerifyHostname(host) == nil }
	always := func(*x509.Certificate) bool { return true }
	for _, l := range []struct {
		name  keys.Name
		out   *identity
		good  func(*x509.Certificate) bool
		issue func(key crypto.PublicKey) (est.Issued, error)
	}{
		{keys.Server, &p.server, forHost, func(k crypto.PublicKey) (est.Issued, error) {
			return p.ca.IssueServer(ctx, host, k)
		}},
		{keys.Peer, &p.peer, forHost, func(k crypto.PublicKey) (est.Issued, error) {
			return p.ca.IssuePeer(ctx, name, host, k)
		}},
		{keys.Transfer, &p.transfer, always, func(k crypto.PublicKey) (est.Issued, error) {
			return p.ca.IssueSigner(ctx, est.KindTransferSigner, name, k)
		}},
		{keys.SUIT, &p.suit, always, func(k crypto.PublicKey) (est.Issued, error) {
			return p.ca.IssueSigner(ctx, est.KindSUITSigner, name, k)
		}},
	} {
		key, err := p.ring.Key(l.name)
		if err != nil {
			return err
		}
		good := func(c *x509.Certificate) bool { return l.good(c) && p.live(ctx, c) }
		*l.out, err = p.load(l.name, key, good, func() (*x509.Certificate, error) {
			issued, err := l.issue(key.Public())
			if err != nil {
				return nil, err
			}
			return x509.ParseCertificate(issued.DER)
		})
		if err != nil {
			return fmt.Errorf("%s certificate: %w", l.name, err)
		}
	}
	return nil
}

// live reports whether a certificate is good in our own inventory.
func (p *pki) live(ctx context.Context, c *x509.Certificate) bool {
	rec, err := p.ca.Lookup(ctx, sum(c.Raw))
	return err == nil && rec.Live(time.Now()) == nil
}

// load reads the certificate file for key, or makes it. A certificate that good
// refuses, or that ends soon, is replaced.
func (p *pki) load(name keys.Name, key crypto.Signer, good func(*x509.Certificate) bool,
	issue func() (*x509.Certificate, error),
) (identity, error) {
	path := p.dir.file(dirPKI, string(name)+".pem")
	cert, err := readCertificate(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return identity{}, err
	}
	if err == nil {
		pub, ok := cert.PublicKey.(*ecdsa.PublicKey)
		if !ok || !pub.Equal(key.Public()) {
			return identity{}, fmt.Errorf("%w: %s is not for the key %s.pem", ErrPKI, path, name)
		}
		if time.Now().Add(renewBefore).Before(cert.NotAfter) && good(cert) {
			return identity{key, cert}, nil
		}
	}
	if cert, err = issue(); err != nil {
		return identity{}, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	return identity{key, cert}, keys.WriteFile(path, text)
}

func readCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%w: %s is not PEM", ErrPKI, path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrPKI, path, err)
	}
	return cert, nil
}
