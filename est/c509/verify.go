package c509

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // for the algorithms below
	_ "crypto/sha512"
	"crypto/x509"
	"fmt"
)

// hashes are those of the signature algorithms that are verified (§8.14). SHA-1
// is not among them, nor is what the standard library lacks.
var hashes = map[int64]crypto.Hash{
	0: crypto.SHA256, 1: crypto.SHA384, 2: crypto.SHA512,
	signatureEd25519: 0,
	23:               crypto.SHA256, 24: crypto.SHA384, 25: crypto.SHA512,
	26: crypto.SHA256, 27: crypto.SHA384, 28: crypto.SHA512,
}

const (
	signatureEd25519 = 12
	firstPSS         = 26
)

// Verify checks the signature with the issuer's key: over CBOR for type 2, over
// DER for type 3. It returns ErrSignature or ErrAlgorithm.
func (c *Certificate) Verify(issuer crypto.PublicKey) error { return c.verify(issuer) }

// Verify checks the signature with the request's own key, which is the proof of
// possession. Proofs of RFC 6955 are ErrAlgorithm. It returns ErrForm for a key
// that crypto/x509 does not know, beside the errors of Certificate.Verify.
func (r *Request) Verify() error {
	key, err := x509.ParsePKIXPublicKey(r.spki)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	return r.verify(key)
}

func (s *signed) verify(key crypto.PublicKey) error {
	code, known := signatures.code(s.algorithm)
	hash, can := hashes[code]
	if !known || !can {
		return fmt.Errorf("%w: %x", ErrAlgorithm, s.algorithm)
	}
	digest := digestOf(hash, s.message)
	ok := false
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		ok = isECDSA(code) && ecdsa.VerifyASN1(key, digest, s.signature)
	case ed25519.PublicKey:
		ok = code == signatureEd25519 && ed25519.Verify(key, s.message, s.signature)
	case *rsa.PublicKey:
		switch {
		case code >= firstPSS:
			salt := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			ok = rsa.VerifyPSS(key, hash, digest, s.signature, salt) == nil
		case hash != 0 && !isECDSA(code):
			ok = rsa.VerifyPKCS1v15(key, hash, digest, s.signature) == nil
		}
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

func digestOf(hash crypto.Hash, message []byte) []byte {
	if hash == 0 { // Ed25519 takes the message
		return message
	}
	h := hash.New()
	h.Write(message)
	return h.Sum(nil)
}
