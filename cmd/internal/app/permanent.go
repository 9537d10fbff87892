package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/transfer"
)

// A Permanent is the permanent CA of a factory: it gives devices their factory
// certificates and keeps an inventory of them.
type Permanent struct {
	dir *directory
	db  *sqlite.DB
	ca  *est.CA

	files   *pki
	revoked chan struct{} // holds one: there is more for the CRL
}

// OpenPermanent opens the permanent CA in a data directory of its own, made at
// the first call. It returns ErrLocked if another process has it.
func OpenPermanent(ctx context.Context, path, name string) (p *Permanent, err error) {
	p = &Permanent{revoked: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
			p = nil
		}
	}()
	if p.dir, err = openDirectory(path); err != nil {
		return p, err
	}
	if p.db, err = sqlite.Open(ctx, p.dir.file(fileDB)); err != nil {
		return p, err
	}
	ring, err := openRing(p.dir, config.Keys{})
	if err != nil {
		return p, err
	}
	key, err := ring.Key(keys.Root)
	if err != nil {
		return p, err
	}
	p.files = newPKI(p.dir, ring, config.Config{}, p.db.Keys())
	root, err := p.files.load(keys.Root, key, always,
		func() (*x509.Certificate, error) {
			profile, err := est.DefaultFactoryRoot()
			if err != nil {
				return nil, err
			}
			return est.NewRoot(est.RootOptions{Name: name, Signer: key, Profile: profile, Now: time.Now()})
		})
	if err != nil {
		return p, err
	}
	if p.ca, err = est.NewCA(est.Options{
		Store: p.db.Inventory(), Passwords: p.db.Inventory(), Origins: p.db.Inventory(),
		Signer: root.key, Issuer: root.cert, Now: time.Now, Revoked: p.wake,
	}); err != nil {
		return p, err
	}
	p.files.ca = p.ca
	return p, p.ca.Adopt(ctx)
}

// Close gives the directory free.
func (p *Permanent) Close() error {
	var errs []error
	if p.db != nil {
		errs = append(errs, p.db.Close())
	}
	if p.dir != nil {
		errs = append(errs, p.dir.Close())
	}
	return errors.Join(errs...)
}

// Root returns the permanent CA's certificate in PEM, for providers to list.
func (p *Permanent) Root() string { return pemCertificate(p.ca.Root().Raw) }

func pemCertificate(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// Make makes a device: a key, its factory certificate, and the bundle for it.
// template gives what all devices of the batch share.
func (p *Permanent) Make(ctx context.Context, template bundle.Bundle, endpoint string) (*bundle.Bundle, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	issued, err := p.ca.IssueFactory(ctx, endpoint, key.Public(), est.OriginCA)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	b := template
	b.Version, b.Endpoint = bundle.Version, endpoint
	b.Factory = bundle.Factory{
		Key:   string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		Chain: []string{pemCertificate(issued.DER)}, PermanentURI: template.Factory.PermanentURI,
	}
	// The permanent domain never serves for more than to come back (transfer
	// protocol §1, rule 4).
	b.Anchors = append([]bundle.Anchor{bundle.NewAnchor(p.ca.Root().Raw, transfer.Enrol|transfer.Fallback)},
		template.Anchors...)
	if err := b.Complete(); err != nil {
		return &b, err
	}
	return &b, b.NewAttestation()
}

// CertifyDevice gives the device that signed the request (PKCS #10, DER) its factory
// certificate: its key never leaves it.
func (p *Permanent) CertifyDevice(ctx context.Context, csr []byte) (est.Issued, error) {
	return p.ca.CertifyFactory(ctx, csr, est.OriginDevice)
}

// Replace revokes the factory certificates that a name has, so that its device may
// have another key.
func (p *Permanent) Replace(ctx context.Context, endpoint string) error {
	records, err := p.ca.List(ctx, est.Query{Kind: est.KindFactory, Status: est.StatusValid, Name: endpoint})
	for _, r := range records {
		err = errors.Join(err, p.ca.Revoke(ctx, r.Hash, est.Superseded, "made anew"))
	}
	return err
}

// RefusedByPermanent reports that err is about the one device that was asked for,
// not about the CA.
func RefusedByPermanent(err error) bool {
	for _, refusal := range []error{
		est.ErrEndpoint, est.ErrName, est.ErrCSR, est.ErrCSRSize, est.ErrKey, est.ErrForbidden, bundle.ErrBundle,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}
