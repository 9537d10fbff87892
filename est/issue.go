package est

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net"
	"time"

	"steward/lwm2m/audit"
)

// Issued is the answer to who asked for a certificate.
type Issued struct {
	Hash     Hash
	Serial   string // lower-case hex
	DER      []byte
	Chain    [][]byte // DER of the issuing CA and those above it, the root last
	NotAfter time.Time
}

// IssueServer issues a certificate for our servers at host, a DNS name or an IP
// address, which may also act as EST server.
func (ca *CA) IssueServer(ctx context.Context, host string, key crypto.PublicKey) (Issued, error) {
	return ca.issueHost(ctx, ca.o.Profiles.Server, host, host, key)
}

// IssuePeer issues a certificate for mutual TLS with other providers: name is the
// provider's, host the address of its peer listener.
func (ca *CA) IssuePeer(ctx context.Context, name, host string, key crypto.PublicKey) (Issued, error) {
	return ca.issueHost(ctx, ca.o.Profiles.Peer, name, host, key)
}

func (ca *CA) issueHost(ctx context.Context, p *Profile, name, host string, key crypto.PublicKey) (Issued, error) {
	s := Subject{Name: name, Key: key}
	if ip := net.ParseIP(host); ip != nil {
		s.IP = []net.IP{ip}
	} else {
		s.DNS = []string{host}
	}
	issuer, err := ca.issuerOf(ca.Serving())
	if err != nil {
		return Issued{}, err
	}
	c, r, err := ca.signBy(issuer, p, s)
	return ca.entered(ctx, c, r, err)
}

// issuerOf returns what issues under an authority.
func (ca *CA) issuerOf(a Authority) (*Issuer, error) {
	issuer, err := NewIssuer(a.Signer, a.Certificate, ca.o.Rand)
	if err == nil {
		issuer.pointers = ca.o.Pointers
	}
	return issuer, err
}

// IssueSigner issues a signer's certificate: KindTransferSigner, KindSUITSigner or
// KindVerdictSigner. It returns ErrProfile for another kind.
func (ca *CA) IssueSigner(ctx context.Context, kind Kind, name string, key crypto.PublicKey) (Issued, error) {
	switch kind {
	case KindTransferSigner:
		return ca.issue(ctx, ca.o.Profiles.TransferSigner, Subject{Name: name, Key: key})
	case KindSUITSigner:
		return ca.issue(ctx, ca.o.Profiles.SUITSigner, Subject{Name: name, Key: key})
	case KindVerdictSigner:
		return ca.issue(ctx, ca.o.Profiles.VerdictSigner, Subject{Name: name, Key: key})
	default:
		return Issued{}, fmt.Errorf("%w: %q is not a signer", ErrProfile, kind)
	}
}

// IssueSubordinate issues the certificate of an issuing CA for key.
func (ca *CA) IssueSubordinate(ctx context.Context, name string, key crypto.PublicKey) (Issued, error) {
	p, err := DefaultIssuing(ca.o.Issuer)
	if err != nil {
		return Issued{}, err
	}
	return ca.issue(ctx, p, Subject{Name: name, Key: key})
}

// issue signs and records one certificate that no device asked for.
func (ca *CA) issue(ctx context.Context, p *Profile, s Subject) (Issued, error) {
	c, r, err := ca.sign(p, s)
	return ca.entered(ctx, c, r, err)
}

// entered stores what was signed, unless err says that it was not.
func (ca *CA) entered(ctx context.Context, c *x509.Certificate, r Record, err error) (Issued, error) {
	if err != nil {
		return Issued{}, err
	}
	err = ca.o.Store.Commit(ctx, Change{Insert: []Record{r}, Audit: []audit.Row{
		ca.row("certificate.issue", r.Hash, string(r.Kind)+" "+r.Name, "", string(StatusValid)),
	}})
	if err != nil {
		return Issued{}, err
	}
	return ca.answer(c, r), nil
}

// sign prepares and issues, and describes the certificate for the inventory.
func (ca *CA) sign(p *Profile, s Subject) (*x509.Certificate, Record, error) {
	return ca.signBy(ca.issuer, p, s)
}

func (ca *CA) signBy(issuer *Issuer, p *Profile, s Subject) (*x509.Certificate, Record, error) {
	t, err := issuer.Prepare(p, s, ca.now())
	if err != nil {
		return nil, Record{}, err
	}
	c, err := issuer.Issue(t)
	if err != nil {
		return nil, Record{}, err
	}
	return c, newRecord(c, sha256.Sum256(issuer.cert.Raw), p.kind, p.name, ca.now()), nil
}

func (ca *CA) answer(c *x509.Certificate, r Record) Issued {
	out := Issued{Hash: r.Hash, Serial: r.Serial, DER: c.Raw, NotAfter: r.NotAfter}
	for _, parent := range ca.above(r) {
		out.Chain = append(out.Chain, parent.Raw)
	}
	return out
}
