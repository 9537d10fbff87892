package handshake

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	_ "crypto/sha512" // registers SHA-384
	"fmt"

	"steward/lwm2m/dtls"
)

// A scheme is a signature algorithm (RFC 5246 §7.4.1.4.1, RFC 8422 §5.1.3).
type scheme uint16

const (
	ecdsaSHA256 scheme = 0x0403
	ecdsaSHA384 scheme = 0x0503
	ed25519Pure scheme = 0x0807
)

// schemes are what we take from clients, in order of preference.
var schemes = []scheme{ecdsaSHA256, ecdsaSHA384, ed25519Pure}

// hash returns what the scheme hashes with; 0: it signs the message itself.
func (s scheme) hash() crypto.Hash {
	switch s {
	case ecdsaSHA256:
		return crypto.SHA256
	case ecdsaSHA384:
		return crypto.SHA384
	default:
		return 0
	}
}

// chooseScheme returns the scheme for a key of ours among those a client lists, and
// the curve that the client must list too, 0 if none. Zero is no scheme.
func chooseScheme(key crypto.PublicKey, list []byte) (s scheme, curve uint16) {
	var fitting []scheme
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			fitting, curve = []scheme{ecdsaSHA256}, groupP256
		case elliptic.P384():
			fitting, curve = []scheme{ecdsaSHA384, ecdsaSHA256}, groupP384
		}
	case ed25519.PublicKey:
		fitting = []scheme{ed25519Pure}
	}
	for _, f := range fitting {
		if listed16(list, uint16(f)) {
			return f, curve
		}
	}
	return 0, 0
}

// sign signs the parts, one after the other.
func (s scheme) sign(key crypto.Signer, parts ...[]byte) ([]byte, error) {
	return key.Sign(rand.Reader, s.digest(parts), s.hash())
}

// verify returns nil if signature is key's of the parts. The scheme must be one of
// schemes, and the key of a kind and curve that we take.
func (s scheme) verify(key crypto.PublicKey, signature []byte, parts ...[]byte) error {
	return s.verifyDigest(key, signature, s.digest(parts))
}

// verifyDigest is verify for what digest has made of the parts.
func (s scheme) verifyDigest(key crypto.PublicKey, signature, digest []byte) error {
	good := false
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		known := key.Curve == elliptic.P256() || key.Curve == elliptic.P384()
		good = known && s.hash() != 0 && ecdsa.VerifyASN1(key, digest, signature)
	case ed25519.PublicKey:
		good = s == ed25519Pure && ed25519.Verify(key, digest, signature)
	}
	if !good {
		return fmt.Errorf("%w: signature", dtls.ErrHandshake)
	}
	return nil
}

// digest is the hash of the parts, or the parts themselves.
func (s scheme) digest(parts [][]byte) []byte {
	if s.hash() == 0 {
		var whole []byte
		for _, p := range parts {
			whole = append(whole, p...)
		}
		return whole
	}
	h := s.hash().New()
	for _, p := range parts {
		_, _ = h.Write(p) // never fails
	}
	return h.Sum(nil)
}
