package est

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // G505: a key identifier, not a signature
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// An Issuer signs certificates under one CA certificate, in two steps. Prepare
// decides and checks everything; Issue signs exactly what was prepared, once.
// It keeps no record: the CA does.
type Issuer struct {
	signer crypto.Signer
	cert   *x509.Certificate
	rand   io.Reader

	pointers Pointers
	patterns sync.Map // *Profile → *pattern; nil ones are of no use
}

// NewIssuer returns an Issuer for the key of cert, which must be a CA
// certificate for signer's key, else ErrOptions. A nil random means crypto/rand.
func NewIssuer(signer crypto.Signer, cert *x509.Certificate, random io.Reader) (*Issuer, error) {
	if signer == nil || cert == nil {
		return nil, fmt.Errorf("%w: an issuer needs a key and a certificate", ErrOptions)
	}
	if !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0 || len(cert.SubjectKeyId) == 0 {
		return nil, fmt.Errorf("%w: %s is not a CA certificate", ErrOptions, cert.Subject)
	}
	if pub, ok := cert.PublicKey.(interface{ Equal(x crypto.PublicKey) bool }); !ok || !pub.Equal(signer.Public()) {
		return nil, fmt.Errorf("%w: the certificate is for another key", ErrOptions)
	}
	if random == nil {
		random = rand.Reader
	}
	return &Issuer{signer: signer, cert: cert, rand: random}, nil
}

// Certificate returns the CA certificate. The caller must not change it.
func (i *Issuer) Certificate() *x509.Certificate { return i.cert }

// A Subject is what a certificate will say about its holder.
type Subject struct {
	Name string           // commonName, at most MaxName bytes
	Key  crypto.PublicKey // what it certifies
	DNS  []string         // dNSName of subjectAltName
	IP   []net.IP         // iPAddress of subjectAltName
	// Names of a device's subjectAltName, beside DNS, as its request has them.
	URI []string

	spki []byte // Key in DER; nil: to be made
}

// MaxName is the longest commonName in bytes (ub-common-name, RFC 5280 A.1).
const MaxName = 64

// A Token is a certificate that was checked and not yet signed.
type Token struct {
	issuer   *Issuer
	profile  *Profile
	template *x509.Certificate
	key      crypto.PublicKey
	spki     []byte // likewise, in DER; nil: to be made
	redeemed atomic.Bool
}

// Prepare builds the certificate for s by profile p, valid from now, with a
// random serial number, and lints it. It returns ErrKey, ErrName, ErrExpired
// when the CA itself is not valid now, or ErrLint.
func (i *Issuer) Prepare(p *Profile, s Subject, now time.Time) (*Token, error) {
	if now.Before(i.cert.NotBefore) || now.After(i.cert.NotAfter) {
		return nil, fmt.Errorf("%w: %s", ErrExpired, i.cert.Subject)
	}
	t, err := p.template(s, now, i.cert, i.rand)
	if err != nil {
		return nil, err
	}
	i.point(p, t)
	if p.shape.ca && i.cert.MaxPathLen <= p.pathLen && (i.cert.MaxPathLen > 0 || i.cert.MaxPathLenZero) {
		return nil, fmt.Errorf("%w: path length %d below %d", ErrLint, p.pathLen, i.cert.MaxPathLen)
	}
	if err := lint(p, t); err != nil {
		return nil, err
	}
	return &Token{issuer: i, profile: p, template: t, key: s.Key, spki: s.spki}, nil
}

// Issue signs what t holds and checks that the outcome is what was prepared. It
// returns ErrToken for a second use, or a token of another Issuer, and ErrSigner.
func (i *Issuer) Issue(t *Token) (*x509.Certificate, error) {
	if t == nil || t.issuer != i || !t.redeemed.CompareAndSwap(false, true) {
		return nil, ErrToken
	}
	der, err := i.sign(t)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSigner, err)
	}
	c, err := inspect(der, t.profile, t.template, t.key)
	if err != nil {
		return nil, err
	}
	if _, known := i.patterns.Load(t.profile); !known && i.patterned(t) {
		i.patterns.Store(t.profile, newPattern(c, t.template))
	}
	return c, nil
}

// sign returns the certificate of t in DER.
func (i *Issuer) sign(t *Token) ([]byte, error) {
	known, _ := i.patterns.Load(t.profile)
	if p, _ := known.(*pattern); p != nil && i.patterned(t) {
		if t.spki != nil {
			return p.sign(i, t.template, t.spki)
		}
		spki, err := x509.MarshalPKIXPublicKey(t.key)
		if err != nil {
			return nil, err
		}
		return p.sign(i, t.template, spki)
	}
	return x509.CreateCertificate(i.rand, t.template, i.cert, t.key, i.signer)
}

// template returns the certificate for s by p under issuer (nil: self-signed).
func (p *Profile) template(s Subject, now time.Time, issuer *x509.Certificate, random io.Reader) (
	*x509.Certificate, error,
) {
	if err := p.accepts(s.Key); err != nil {
		return nil, err
	}
	serial, err := newSerial(random, now)
	if err != nil {
		return nil, err
	}
	notBefore, notAfter := p.window(now, issuer)
	uris, err := parseURIs(s.URI)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: s.Name},
		NotBefore:    notBefore, NotAfter: notAfter,
		KeyUsage: p.shape.usage, ExtKeyUsage: p.shape.extended, UnknownExtKeyUsage: p.shape.unknown,
		DNSNames: s.DNS, IPAddresses: s.IP, URIs: uris, ExtraExtensions: p.extras(),
	}
	if p.shape.ca {
		t.BasicConstraintsValid, t.IsCA = true, true
		t.MaxPathLen, t.MaxPathLenZero = p.pathLen, p.pathLen == 0
	}
	if p.shape.keyID {
		if t.SubjectKeyId, err = keyID(s.Key); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// newSerial returns a positive number that takes 16 bytes in DER: unique without
// asking anybody (RFC 5280 §4.1.2.2 allows 20). It begins with 38 bits of the time, in
// 2^24 ns, so that what is issued together stands together wherever it is kept in
// order; 88 bits are random, of which nobody can guess the 64 that the CA/Browser
// Forum demands (Baseline Requirements §7.1).
func newSerial(random io.Reader, now time.Time) (*big.Int, error) {
	const size, clock, unit = 16, 5, 24
	b := make([]byte, size)
	moment := binary.BigEndian.AppendUint64(nil, uint64(now.UnixNano())>>unit)
	copy(b, moment[len(moment)-clock:])
	if _, err := io.ReadFull(random, b[clock:]); err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	b[0] = b[0]&0x3f | 0x40
	return new(big.Int).SetBytes(b), nil
}

// keyID returns the 8-byte key identifier of RFC 5280 §4.2.1.2 (2): 0100, then the
// last 60 bits of the SHA-1 of the key. It saves a device certificate 12 bytes.
func keyID(pub crypto.PublicKey) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	bits, err := publicKeyBits(spki)
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum(bits) //nolint:gosec // G401: see the import
	id := bytes.Clone(sum[len(sum)-8:])
	id[0] = id[0]&0x0f | 0x40
	return id, nil
}
