package est

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"fmt"
)

// Cross makes the certificates that lead from one CA to the other while the first is
// rolled over to the second (RFC 4210 §4.4): OldWithNew is the old one's name and key
// signed by the new key, for who trusts the new one only; NewWithOld the opposite.
// CAs of one name make them self-issued: path lengths do not count them (RFC 5280
// §6.1). Others must be allowed a CA below. It returns ErrLint if they are not, or
// are never valid at once, and ErrSigner.
func Cross(older, newer *Issuer) (oldWithNew, newWithOld *x509.Certificate, err error) {
	for _, c := range []*x509.Certificate{older.cert, newer.cert} {
		if c.MaxPathLenZero && !bytes.Equal(older.cert.RawSubject, newer.cert.RawSubject) {
			return nil, nil, fmt.Errorf("%w: %s may have no CA below", ErrLint, c.Subject)
		}
	}
	if oldWithNew, err = cross(older.cert, newer); err != nil {
		return nil, nil, err
	}
	newWithOld, err = cross(newer.cert, older)
	return oldWithNew, newWithOld, err
}

// cross certifies the CA called subject by another, for as long as both live.
func cross(subject *x509.Certificate, by *Issuer) (*x509.Certificate, error) {
	random := by.rand
	if random == nil {
		random = rand.Reader
	}
	serial, err := newSerial(random, subject.NotBefore)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial, RawSubject: subject.RawSubject, NotBefore: subject.NotBefore, NotAfter: subject.NotAfter,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true,
		MaxPathLen: subject.MaxPathLen, MaxPathLenZero: subject.MaxPathLenZero,
		SubjectKeyId: subject.SubjectKeyId, AuthorityKeyId: by.cert.SubjectKeyId, // not by itself where names are equal
	}
	if t.NotAfter.After(by.cert.NotAfter) {
		t.NotAfter = by.cert.NotAfter
	}
	if !t.NotBefore.Before(t.NotAfter) {
		return nil, fmt.Errorf("%w: %s and %s are never valid at once", ErrLint, subject.Subject, by.cert.Subject)
	}
	der, err := x509.CreateCertificate(random, t, by.cert, subject.PublicKey, by.signer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSigner, err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLint, err)
	}
	if err := c.CheckSignatureFrom(by.cert); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLint, err)
	}
	return c, nil
}
