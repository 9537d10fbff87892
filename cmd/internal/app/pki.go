package app

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/est"
)

// Errors of the provider's own keys and certificates.
var (
	// ErrPKI reports a certificate file that cannot be used.
	ErrPKI = errors.New("unusable certificate file")
	// ErrNoCA reports a CA that waits for its certificate from the CA above.
	ErrNoCA = errors.New(`no certificate of the issuing CA yet: "steward ca request", then "steward ca install"`)
)

// renewBefore is how long before their end the certificates of our servers and
// signers are renewed at start: a server restarted once a quarter never meets it.
const renewBefore = 90 * 24 * time.Hour

// A pki is the provider's own keys and certificates.
type pki struct {
	ring     *keys.Ring
	dir      *directory
	life     est.KeyLife
	name     string // of the provider
	host     string
	ca       *est.CA
	restored est.Restored
	server   identity
	peer     identity
	transfer identity
	suit     identity
	attest   identity
	next     map[keys.Name]*x509.Certificate // of signers that will follow the present ones
	lead     []*x509.Certificate             // what servers show to devices instead of the CA's chain; nil: that
}

// An identity is a key with its certificate.
type identity struct {
	key  crypto.Signer
	cert *x509.Certificate
}

// newPKI returns a pki without certificates.
func newPKI(dir *directory, ring *keys.Ring, cfg config.Config, store est.KeyStore) *pki {
	return &pki{
		ring: ring, dir: dir, name: cfg.Name, host: cfg.Host, next: map[keys.Name]*x509.Certificate{},
		life: est.KeyLife{Store: store, Actor: systemActor, Now: time.Now},
	}
}

// open loads the CA of the data directory, or makes one at the first start, and the
// certificates of our servers and signers. o says what the CA works with beside its
// keys and certificates.
func (p *pki) open(ctx context.Context, cfg config.CA, o est.Options) error {
	if err := p.openCA(ctx, cfg, o); err != nil {
		return err
	}
	return p.leaves(ctx)
}

func (p *pki) openCA(ctx context.Context, cfg config.CA, o est.Options) error {
	purpose, err := p.establish(ctx, cfg.Hierarchy)
	if err != nil {
		return err
	}
	if err := p.authorities(ctx, purpose, &o); err != nil {
		return err
	}
	if p.ca, err = est.NewCA(o); err != nil {
		return err
	}
	if err := p.ca.Adopt(ctx); err != nil {
		return err
	}
	p.restored, err = p.ca.Restore(ctx)
	return err
}

// leaves loads or issues the end-entity certificates. The server's and the peer
// listener's follow the host name, and the server's also the authority that our
// clients know; partners have pinned the peer listener's.
func (p *pki) leaves(ctx context.Context) error {
	for _, l := range []struct {
		purpose keys.Name
		out     *identity
		good    func(*x509.Certificate) bool
	}{
		{keys.Server, &p.server, p.goodServer},
		{keys.Peer, &p.peer, func(c *x509.Certificate) bool { return c.VerifyHostname(p.host) == nil }},
		{keys.Transfer, &p.transfer, always},
		{keys.SUIT, &p.suit, always},
		{keys.Attest, &p.attest, always},
	} {
		var err error
		if *l.out, err = p.leaf(ctx, l.purpose, l.good); err != nil {
			return err
		}
	}
	for _, purpose := range told {
		if err := p.loadNext(ctx, purpose); err != nil {
			return err
		}
	}
	return nil
}

// told are the purposes whose next key others must know before it is used: devices have
// the signers' as anchors, partners have pinned those of transfer and of peer.
var told = []keys.Name{keys.Transfer, keys.SUIT, keys.Peer}

func always(*x509.Certificate) bool { return true }

// goodServer reports whether a certificate is for our host, by the authority that
// clients know.
func (p *pki) goodServer(c *x509.Certificate) bool {
	return c.VerifyHostname(p.host) == nil && c.CheckSignatureFrom(p.ca.Serving().Certificate) == nil
}

// issue issues a certificate for a purpose that is no CA.
func (p *pki) issue(ctx context.Context, purpose keys.Name, key crypto.PublicKey) (est.Issued, error) {
	switch purpose {
	case keys.Peer:
		return p.ca.IssuePeer(ctx, p.name, p.host, key)
	case keys.Transfer:
		return p.ca.IssueSigner(ctx, est.KindTransferSigner, p.name, key)
	case keys.SUIT:
		return p.ca.IssueSigner(ctx, est.KindSUITSigner, p.name, key)
	case keys.Attest:
		return p.ca.IssueSigner(ctx, est.KindVerdictSigner, p.name, key)
	default:
		return p.ca.IssueServer(ctx, p.host, key)
	}
}

// leaf returns the active key of a purpose with its certificate, issued if there is
// none that good accepts.
func (p *pki) leaf(ctx context.Context, purpose keys.Name, good func(*x509.Certificate) bool) (identity, error) {
	name, key, err := p.key(ctx, purpose)
	if err != nil {
		return identity{}, err
	}
	return p.certified(ctx, name, key, func(c *x509.Certificate) bool { return good(c) && p.live(ctx, c) })
}

// key returns the active key of a purpose, and its name. The first is made, and
// recorded, when there is none.
func (p *pki) key(ctx context.Context, purpose keys.Name) (keys.Name, crypto.Signer, error) {
	g, err := p.life.Generations(ctx, string(purpose))
	if err != nil {
		return "", nil, err
	}
	if active := g.Of(est.KeyActive); active != nil {
		name := nameOf(purpose, active.Number)
		key, err := p.ring.Find(name) // one that is lost is not replaced silently
		return name, key, err
	}
	key, err := p.ring.Key(purpose)
	if err != nil {
		return "", nil, err
	}
	return purpose, key, p.life.Adopt(ctx, string(purpose), est.Hash{}, time.Now())
}

// nameOf names a generation of a key.
func nameOf(purpose keys.Name, number int) keys.Name {
	if number == 1 {
		return purpose
	}
	return keys.Name(fmt.Sprintf("%s-%d", purpose, number))
}

// certified reads the certificate of a key that is no CA's, or has it issued.
func (p *pki) certified(ctx context.Context, name keys.Name, key crypto.Signer, good func(*x509.Certificate) bool) (
	identity, error,
) {
	id, err := p.load(name, key, good, func() (*x509.Certificate, error) {
		issued, err := p.issue(ctx, name.Purpose(), key.Public())
		if err != nil {
			return nil, err
		}
		return x509.ParseCertificate(issued.DER)
	})
	if err != nil {
		return identity{}, fmt.Errorf("%s certificate: %w", name, err)
	}
	return id, nil
}

// nextDER returns the certificate of a purpose's next generation, nil if there is none.
func (p *pki) nextDER(purpose keys.Name) []byte {
	if next := p.next[purpose]; next != nil {
		return next.Raw
	}
	return nil
}

// loadNext loads the certificate of a purpose's next generation, if there is one.
func (p *pki) loadNext(ctx context.Context, purpose keys.Name) error {
	g, err := p.life.Generations(ctx, string(purpose))
	next := g.Of(est.KeyNext)
	if err != nil || next == nil {
		return err
	}
	p.next[purpose], err = p.read(nameOf(purpose, next.Number))
	return err
}

// live reports whether a certificate is good in our own inventory.
func (p *pki) live(ctx context.Context, c *x509.Certificate) bool {
	rec, err := p.ca.Lookup(ctx, sum(c.Raw))
	return err == nil && rec.Live(time.Now()) == nil
}

// chain returns a certificate of our servers with what is between it and the root,
// which is for the client to have (RFC 5246 §7.4.2).
func (p *pki) chain(leaf *x509.Certificate) [][]byte {
	out := [][]byte{leaf.Raw}
	for _, c := range p.ca.Serving().Chain() {
		if c.CheckSignatureFrom(c) != nil {
			out = append(out, c.Raw)
		}
	}
	return out
}

// deviceChain is chain for devices, some of which know only the CA before.
func (p *pki) deviceChain(leaf *x509.Certificate) [][]byte {
	if len(p.lead) == 0 {
		return p.chain(leaf)
	}
	out := [][]byte{leaf.Raw}
	for _, c := range p.lead {
		out = append(out, c.Raw)
	}
	return out
}
