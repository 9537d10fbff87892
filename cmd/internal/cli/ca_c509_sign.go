package cli

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"

	"steward/est/c509"
)

// sign makes b natively signed.
func (b *both) sign(o c509Options) error {
	if !b.toC509 || len(b.ders) != 1 {
		return fmt.Errorf("%w: --sign takes one certificate or request in X.509", errMisused)
	}
	key, err := readSigner(o.key)
	if err != nil {
		return err
	}
	sign := o.SignCertificate
	if b.kind == pemRequest {
		sign = o.SignRequest
	}
	b.short, err = sign(b.ders[0], key)
	b.native = true
	return err
}

func readSigner(name string) (crypto.Signer, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, misusedFile(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%w: %s has no PEM", errMisused, name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		key, err = x509.ParseECPrivateKey(block.Bytes)
	}
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, fmt.Errorf("%w: %s has no private key that signs", errMisused, name)
	}
	return signer, nil
}

// verify checks the signature of a request, and that of one certificate if the file
// of its issuer is named.
func (b *both) verify(issuer string) error {
	if b.kind == pemRequest {
		r, err := c509.ParseRequest(b.short)
		if err != nil {
			return err
		}
		return r.Verify()
	}
	if issuer == "" {
		return nil
	}
	text, err := os.ReadFile(issuer)
	if err != nil {
		return misusedFile(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return fmt.Errorf("%w: %s has no PEM", errMisused, issuer)
	}
	by, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("%s: %w", issuer, err)
	}
	c, err := c509.ParseCertificate(b.short)
	if err != nil {
		return err
	}
	b.verified = by.Subject.String()
	return c.Verify(by.PublicKey)
}
