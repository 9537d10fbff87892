package web

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
)

// IdentityKeys are the SHA-256 of the public keys in an identity file, in hexadecimal,
// as two people compare them who have exchanged the files. "" stands for none.
type IdentityKeys struct {
	Name        string `json:"name"`
	TLS         string `json:"tls,omitempty"`
	Signing     string `json:"signing"`
	NextTLS     string `json:"next_tls,omitempty"`
	NextSigning string `json:"next_signing,omitempty"`
}

// KeysOf reads our own identity file: its signature is not checked. It returns ErrInvalid.
func KeysOf(identity []byte) (IdentityKeys, error) {
	var file struct {
		Payload string `json:"payload"`
	}
	if err := json.Unmarshal(identity, &file); err != nil {
		return IdentityKeys{}, fmt.Errorf("%w: identity file: %w", ErrInvalid, err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(file.Payload)
	if err != nil {
		return IdentityKeys{}, fmt.Errorf("%w: identity file: %w", ErrInvalid, err)
	}
	var k IdentityKeys // with certificates in the place of hashes
	if err := json.Unmarshal(payload, &k); err != nil {
		return IdentityKeys{}, fmt.Errorf("%w: identity file: %w", ErrInvalid, err)
	}
	for _, at := range []*string{&k.TLS, &k.Signing, &k.NextTLS, &k.NextSigning} {
		if *at, err = keyHash(*at); err != nil {
			return IdentityKeys{}, err
		}
	}
	return k, nil
}

// keyHash is the SHA-256 of the public key of a certificate in PEM; "" of none.
func keyHash(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return "", fmt.Errorf("%w: identity file: a certificate is no PEM", ErrInvalid)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("%w: identity file: %w", ErrInvalid, err)
	}
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:]), nil
}
