package app

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"steward/cmd/internal/keys"
)

// Files of certificates beside that of the key itself, by what follows its name.
const (
	fileChain      = ".chain"        // those above an issuing CA that somebody else certified
	fileOldWithNew = ".old-with-new" // the CA before, certified by this one
	fileNewWithOld = ".new-with-old" // this CA, certified by the one before
)

func (p *pki) file(name keys.Name) string { return p.dir.file(dirPKI, string(name)+".pem") }

// load reads the certificate file for key, or makes it. A certificate that good
// refuses, or that ends soon, is replaced.
func (p *pki) load(name keys.Name, key crypto.Signer, good func(*x509.Certificate) bool,
	issue func() (*x509.Certificate, error),
) (identity, error) {
	cert, err := p.read(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return identity{}, err
	}
	if err == nil {
		if !certifies(cert, key.Public()) {
			return identity{}, fmt.Errorf("%w: %s is not for the key %s", ErrPKI, p.file(name), name)
		}
		if time.Now().Add(renewBefore).Before(cert.NotAfter) && good(cert) {
			return identity{key, cert}, nil
		}
	}
	if cert, err = issue(); err != nil {
		return identity{}, err
	}
	return identity{key, cert}, p.write(name, cert)
}

// remove removes the file of a name, if there is one.
func (p *pki) remove(name keys.Name) error { return ignore(os.Remove(p.file(name)), fs.ErrNotExist) }

// certifies reports whether a certificate is for a key.
func certifies(c *x509.Certificate, key crypto.PublicKey) bool {
	pub, ok := c.PublicKey.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && pub.Equal(key)
}

// write writes the certificates of a name.
func (p *pki) write(name keys.Name, certs ...*x509.Certificate) error {
	var text []byte
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return keys.WriteFile(p.file(name), text)
}

// read reads the one certificate of a name.
func (p *pki) read(name keys.Name) (*x509.Certificate, error) {
	certs, err := p.readAll(name)
	if err != nil {
		return nil, err
	}
	if len(certs) != 1 {
		return nil, fmt.Errorf("%w: %s holds %d certificates, want one", ErrPKI, p.file(name), len(certs))
	}
	return certs[0], nil
}

func (p *pki) readAll(name keys.Name) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(p.file(name))
	if err != nil {
		return nil, err
	}
	certs, err := parseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.file(name), err)
	}
	return certs, nil
}

// maxChain bounds the certificates of one file: no device verifies more.
const maxChain = 8

// parseCertificates parses PEM and nothing else.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for len(text) > 0 {
		block, rest := pem.Decode(text)
		if block == nil || block.Type != "CERTIFICATE" || len(out) == maxChain {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPKI, err)
		}
		out, text = append(out, c), rest
	}
	if len(out) == 0 || len(text) > 0 {
		return nil, fmt.Errorf("%w: not 1 to %d certificates in PEM", ErrPKI, maxChain)
	}
	return out, nil
}
