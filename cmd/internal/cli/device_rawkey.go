package cli

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"

	device "steward/cmd/internal/sim/trial"
)

// rawKeyOf reads a device's private key, and the public key of its servers: of
// itself or as a certificate.
func rawKeyOf(own, server string) (*device.RawKey, error) {
	der, _, err := readPEM(own)
	if err != nil {
		return nil, err
	}
	k := &device.RawKey{}
	if k.Key, err = parseSigner(der); err != nil {
		return nil, fmt.Errorf("%w: --raw-key %s: %w", errMisused, own, err)
	}
	if server == "" {
		return nil, fmt.Errorf("%w: --raw-key needs --server-key", errMisused)
	}
	der, kind, err := readPEM(server)
	if err != nil {
		return nil, err
	}
	k.Server = der
	if kind == "CERTIFICATE" {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: --server-key %s: %w", errMisused, server, err)
		}
		k.Server = c.RawSubjectPublicKeyInfo
	}
	if _, err := x509.ParsePKIXPublicKey(k.Server); err != nil {
		return nil, fmt.Errorf("%w: --server-key %s: %w", errMisused, server, err)
	}
	return k, nil
}

// readPEM reads the first block of a file.
func readPEM(file string) (der []byte, kind string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, "", err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, "", fmt.Errorf("%w: %s is not PEM", errMisused, file)
	}
	return block.Bytes, block.Type, nil
}

// parseSigner reads a private key in PKCS#8 (RFC 5958) or SEC 1.
func parseSigner(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: a %T cannot sign", errMisused, key)
	}
	return signer, nil
}
