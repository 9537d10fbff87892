package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"steward/cmd/internal/keys"
	"steward/est"
)

// following returns the name of the issuing key that a request or a chain is for.
func (p *pki) following(ctx context.Context) (est.Generations, keys.Name, error) {
	g, err := p.life.Generations(ctx, string(keys.Issuing))
	if err != nil {
		return nil, "", err
	}
	if g.Of(est.KeyNext) != nil {
		return nil, "", fmt.Errorf("%w: issuing has a next key already: finish or withdraw it", est.ErrRollover)
	}
	root, err := p.life.Generations(ctx, string(keys.Root))
	if err != nil {
		return nil, "", err
	}
	if len(g) == 0 && len(root) > 0 {
		return nil, "", fmt.Errorf("%w: the root issues here, and there is no issuing CA", est.ErrRollover)
	}
	return g, nameOf(keys.Issuing, g.Following()), nil
}

// Extensions that a request asks for (RFC 5280 §4.2.1.9, §4.2.1.3).
var (
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
)

// request makes the PKCS#10 request of the issuing CA that will be, in PEM. It may
// be made again: its key is the same until a chain for it is installed.
func (p *pki) request(ctx context.Context) ([]byte, error) {
	g, name, err := p.following(ctx)
	if err != nil {
		return nil, err
	}
	key, err := p.ring.Key(name)
	if err != nil {
		return nil, err
	}
	common := p.name + " Issuing CA"
	if active := g.Of(est.KeyActive); active != nil {
		present, err := p.read(nameOf(keys.Issuing, active.Number))
		if err != nil {
			return nil, err
		}
		common = numbered(present.Subject.CommonName, name)
	}
	constraints, err := asn1.Marshal(struct {
		IsCA bool
		Len  int
	}{true, 0})
	if err != nil {
		return nil, err
	}
	usage, err := asn1.Marshal(asn1.BitString{Bytes: []byte{0x06}, BitLength: 7}) // keyCertSign, cRLSign
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: common},
		ExtraExtensions: []pkix.Extension{
			{Id: oidBasicConstraints, Critical: true, Value: constraints}, {Id: oidKeyUsage, Critical: true, Value: usage},
		},
	}, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// install takes in the chain of the issuing CA that a request was made for: its
// certificate first, the root last. It returns ErrPKI for a chain that is not, and
// keys.ErrNoKey without a request. Where there is an issuing CA, a roll-over begins.
func (p *pki) install(ctx context.Context, text []byte) error {
	chain, err := parseCertificates(text)
	if err != nil {
		return err
	}
	g, name, err := p.following(ctx)
	if err != nil {
		return err
	}
	key, err := p.ring.Find(name)
	if err != nil {
		return err
	}
	if !certifies(chain[0], key.Public()) {
		return fmt.Errorf("%w: the first certificate, %s, is not for the key of the request", ErrPKI, chain[0].Subject)
	}
	if err := checkChain(chain, time.Now()); err != nil {
		return err
	}
	if _, err := est.NewIssuer(key, chain[0], nil); err != nil {
		return fmt.Errorf("%w: %w", ErrPKI, err)
	}
	if err := p.write(name+fileChain, chain[1:]...); err != nil {
		return err
	}
	if err := p.write(name, chain[0]); err != nil {
		return err
	}
	hash := sum(chain[0].Raw)
	active := g.Of(est.KeyActive)
	if active == nil {
		return p.life.Adopt(ctx, string(keys.Issuing), hash, time.Now())
	}
	if err := p.cross(nameOf(keys.Issuing, active.Number), name, identity{key, chain[0]}); err != nil {
		return err
	}
	return p.life.Begin(ctx, string(keys.Issuing), g.Following(), hash)
}

// checkChain checks a chain of CA certificates by all rules of RFC 5280 §6.1.
func checkChain(chain []*x509.Certificate, now time.Time) error {
	root := chain[len(chain)-1]
	if len(chain) < 2 || root.CheckSignatureFrom(root) != nil { //nolint:mnd // the CA and the root
		return fmt.Errorf("%w: the chain does not end with a root", ErrPKI)
	}
	for i, c := range chain {
		if !c.IsCA || c.KeyUsage&x509.KeyUsageCertSign == 0 || now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return fmt.Errorf("%w: %s is no CA at this time", ErrPKI, c.Subject)
		}
		if i > 0 && !issued(chain[i-1], c) {
			return fmt.Errorf("%w: %s did not certify %s", ErrPKI, c.Subject, chain[i-1].Subject)
		}
		if (c.MaxPathLen > 0 || c.MaxPathLenZero) && c.MaxPathLen < i { // i CAs are below c
			return fmt.Errorf("%w: %s allows %d CAs below, not %d", ErrPKI, c.Subject, c.MaxPathLen, i)
		}
	}
	if chain[0].KeyUsage&x509.KeyUsageCRLSign == 0 {
		return fmt.Errorf("%w: %s may not sign CRLs", ErrPKI, chain[0].Subject)
	}
	return nil
}

// issued reports whether a CA made a certificate; the same key may have two names.
func issued(c, by *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, by.RawSubject) && c.CheckSignatureFrom(by) == nil
}

// parseRequest parses a request of an issuing CA in PEM, and checks its signature.
func parseRequest(text []byte) (*x509.CertificateRequest, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(rest) > 0 {
		return nil, fmt.Errorf("%w: not one PKCS#10 request in PEM", est.ErrCSR)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", est.ErrCSR, err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: %w", est.ErrCSR, err)
	}
	return csr, nil
}

// Certify makes the certificate of a provider's issuing CA for a request in PEM, and
// returns it with the permanent CA's own, in PEM. It returns est.ErrCSR, est.ErrKey
// or est.ErrName.
func (p *Permanent) Certify(ctx context.Context, request []byte) (string, error) {
	csr, err := parseRequest(request)
	if err != nil {
		return "", err
	}
	made, err := p.ca.IssueSubordinate(ctx, csr.Subject.CommonName, csr.PublicKey)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, der := range append([][]byte{made.DER}, made.Chain...) {
		out.WriteString(pemCertificate(der))
	}
	return out.String(), nil
}
