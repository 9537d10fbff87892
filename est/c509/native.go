package c509

import (
	"crypto"
	"crypto/rand"
	"fmt"
)

// SignRequest returns a natively signed request with the fields of a PKCS#10 one,
// signed by key, which must be the request's and suit its algorithm: ECDSA or
// Ed25519. Text is UTF-8, whatever ASN.1 string type it had. It returns ErrSize,
// ErrDER, ErrNoForm, ErrAlgorithm, ErrSignature for another's key, or an error of it.
func (o Options) SignRequest(der []byte, key crypto.Signer) ([]byte, error) {
	c := codec{native: true, uncompressed: o.Uncompressed}
	body, s, err := c.request(Native, der)
	if err != nil {
		return nil, err
	}
	out, err := c.seal(requestItems, body, s, key)
	if err != nil {
		return nil, err
	}
	back, err := ParseRequest(out)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoForm, err)
	}
	return out, back.Verify()
}

// SignCertificate returns a natively signed certificate with the fields of an
// X.509 one, signed by its issuer's key, see SignRequest.
func (o Options) SignCertificate(der []byte, issuer crypto.Signer) ([]byte, error) {
	c := codec{native: true, uncompressed: o.Uncompressed}
	body, s, err := c.certificate(Native, der)
	if err != nil {
		return nil, err
	}
	out, err := c.seal(certificateItems, body, s, issuer)
	if err != nil {
		return nil, err
	}
	back, err := ParseCertificate(out)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoForm, err)
	}
	return out, back.Verify(issuer.Public())
}

// seal signs body and adds header and signature.
func (c codec) seal(n uint64, body []byte, s x509Signed, key crypto.Signer) ([]byte, error) {
	code, known := signatures.code(s.algorithm)
	hash, can := hashes[code]
	if !known || !can || !isECDSA(code) && code != signatureEd25519 {
		return nil, fmt.Errorf("%w: %x", ErrAlgorithm, s.algorithm)
	}
	sig, err := key.Sign(rand.Reader, digestOf(hash, body), hash)
	if err != nil {
		return nil, fmt.Errorf("native signature: %w", err)
	}
	s.signature = sig
	return c.finish(n, body, s)
}
