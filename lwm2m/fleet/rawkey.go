package fleet

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
)

// maxPublicKey bounds a SubjectPublicKeyInfo: that of P-384 has 120 bytes.
const maxPublicKey = 256

// KeyIdentity is the identity of a raw public key: the SHA-256 of its
// SubjectPublicKeyInfo in hexadecimal, as the ni URI of RFC 6920 has it.
func KeyIdentity(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}

// checkPublicKey returns the key of a SubjectPublicKeyInfo that a device can prove in a
// handshake: P-256, P-384 or Ed25519, in its only encoding in DER.
func checkPublicKey(spki []byte) (crypto.PublicKey, error) {
	if len(spki) == 0 || len(spki) > maxPublicKey {
		return nil, fmt.Errorf("%w: public key of %d bytes, want 1 to %d", ErrCredential, len(spki), maxPublicKey)
	}
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCredential, err)
	}
	switch key := key.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() {
			return nil, fmt.Errorf("%w: public key on %s, want P-256 or P-384", ErrCredential, key.Params().Name)
		}
	default:
		return nil, fmt.Errorf("%w: public key is neither ECDSA nor Ed25519", ErrCredential)
	}
	if canonical, err := x509.MarshalPKIXPublicKey(key); err != nil || !bytes.Equal(canonical, spki) {
		return nil, fmt.Errorf("%w: public key is not in DER", ErrCredential)
	}
	return key, nil
}

// checkRawKey is Check for a raw public key.
func (c Credential) checkRawKey() error {
	key, err := checkPublicKey(c.Public)
	if err != nil {
		return err
	}
	if c.Identity != KeyIdentity(c.Public) {
		return fmt.Errorf("%w: the identity is not that of the public key", ErrCredential)
	}
	if len(c.Secret) == 0 {
		return nil
	}
	private, err := x509.ParsePKCS8PrivateKey(c.Secret)
	if err != nil {
		return fmt.Errorf("%w: private key: %w", ErrCredential, err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return fmt.Errorf("%w: private key cannot sign", ErrCredential)
	}
	if own, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !own.Equal(key) {
		return fmt.Errorf("%w: private key of another public key", ErrCredential)
	}
	return nil
}

// NewRawKey makes a P-256 key pair for a device. Device, Use and CreatedAt are left
// to the caller.
func NewRawKey() (Credential, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Credential{}, fmt.Errorf("new raw key: %w", err)
	}
	c := Credential{Kind: KindRawKey}
	if c.Public, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		return Credential{}, fmt.Errorf("new raw key: %w", err)
	}
	if c.Secret, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return Credential{}, fmt.Errorf("new raw key: %w", err)
	}
	c.Identity = KeyIdentity(c.Public)
	return c, nil
}
