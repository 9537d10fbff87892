package trial

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"fmt"

	"steward/lwm2m/dtls"
)

// A RawKey is the device's raw public key (RFC 7250), for security mode 1.
type RawKey struct {
	Key    crypto.Signer // ECDSA or Ed25519
	Server []byte        // SubjectPublicKeyInfo of the servers, DER; another is refused

	public, private []byte // DER
}

// encode makes what object Security holds of it.
func (k *RawKey) encode() (err error) {
	if k.public, err = x509.MarshalPKIXPublicKey(k.Key.Public()); err == nil {
		k.private, err = x509.MarshalPKCS8PrivateKey(k.Key)
	}
	if err != nil {
		return fmt.Errorf("%w: raw public key: %w", ErrOptions, err)
	}
	return nil
}

// rawKey are the credentials of an account of security mode 1.
func rawKey(a Account, o dtls.ClientOptions) (dtls.ClientOptions, error) {
	key, err := x509.ParsePKCS8PrivateKey(a.SecretKey)
	if err != nil {
		return o, fmt.Errorf("%w: key of the account: %w", ErrOptions, err)
	}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		o.RawKey = key
	case ed25519.PrivateKey:
		o.RawKey = key
	default:
		return o, fmt.Errorf("%w: key of the account is a %T", ErrOptions, key)
	}
	own, err := x509.MarshalPKIXPublicKey(o.RawKey.Public())
	if err != nil || !bytes.Equal(own, a.Identity) {
		return o, fmt.Errorf("%w: the account's public key is not that of its private key", ErrOptions)
	}
	o.VerifyKey = func(spki []byte) error {
		if len(a.ServerKey) == 0 || !bytes.Equal(spki, a.ServerKey) {
			return fmt.Errorf("%w: raw public key", errServer)
		}
		return nil
	}
	return o, nil
}
