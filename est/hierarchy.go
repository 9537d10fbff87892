package est

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"io"
	"time"
)

// RootOptions says how to make a self-signed CA certificate.
type RootOptions struct {
	Name    string        // commonName; keep it short, every certificate repeats it
	Signer  crypto.Signer // the root's key
	Now     time.Time
	Profile *Profile  // of KindRoot; nil: DefaultRoot(1)
	Rand    io.Reader // nil: crypto/rand
}

// DefaultRoot returns the profile of a root that expires after twenty years and
// lets pathLen CAs follow below. It returns ErrProfile for more than three.
func DefaultRoot(pathLen int) (*Profile, error) {
	return NewProfile(ProfileOptions{Name: "root", Kind: KindRoot, Validity: 20 * 365 * day, PathLen: pathLen})
}

// DefaultFactoryRoot returns the profile of a permanent CA: it signs factory
// certificates itself, may certify issuing CAs as own roots do, and expires as little as they do.
func DefaultFactoryRoot() (*Profile, error) {
	return NewProfile(ProfileOptions{Name: "factory-root", Kind: KindRoot, NoExpiry: true, PathLen: 2})
}

// NewRoot makes a self-signed CA certificate. Nothing records it until a CA is
// made that has it as issuer or parent, and Adopt is called.
func NewRoot(o RootOptions) (*x509.Certificate, error) {
	if o.Signer == nil || o.Now.IsZero() {
		return nil, fmt.Errorf("%w: a root needs a key and the time", ErrOptions)
	}
	p, random := o.Profile, o.Rand
	if p == nil {
		var err error
		if p, err = DefaultRoot(1); err != nil {
			return nil, err
		}
	}
	if random == nil {
		random = rand.Reader
	}
	if p.kind != KindRoot {
		return nil, errKind(p, KindRoot)
	}
	t, err := p.template(Subject{Name: o.Name, Key: o.Signer.Public()}, o.Now, nil, random)
	if err != nil {
		return nil, err
	}
	if err := lint(p, t); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(random, t, t, o.Signer.Public(), o.Signer)
	if err != nil {
		return nil, fmt.Errorf("sign root: %w", err)
	}
	return inspect(der, p, t, o.Signer.Public())
}

// DefaultIssuing returns the profile of an issuing CA under root: if that allows it,
// one that can certify its own successor, which who trusts this one only then
// trusts. It returns ErrProfile.
func DefaultIssuing(root *x509.Certificate) (*Profile, error) {
	pathLen := 1
	if (root.MaxPathLen > 0 || root.MaxPathLenZero) && root.MaxPathLen <= pathLen {
		pathLen = 0
	}
	return NewProfile(ProfileOptions{
		Name: "issuing", Kind: KindIssuing, Validity: issuingValidity, PathLen: pathLen,
	})
}

// NewIssuing makes the certificate of an issuing CA for key under the root, by
// profile (nil: that of DefaultIssuing).
func NewIssuing(root *Issuer, name string, key crypto.PublicKey, profile *Profile, now time.Time) (
	*x509.Certificate, error,
) {
	if profile == nil {
		var err error
		if profile, err = DefaultIssuing(root.cert); err != nil {
			return nil, err
		}
	}
	if profile.kind != KindIssuing {
		return nil, errKind(profile, KindIssuing)
	}
	t, err := root.Prepare(profile, Subject{Name: name, Key: key}, now)
	if err != nil {
		return nil, err
	}
	return root.Issue(t)
}
