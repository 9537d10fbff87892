package app

import (
	"context"
	"crypto/x509"

	"steward/cmd/internal/bundle"
	"steward/est"
	"steward/transfer"
)

// ParseCertificates is parseCertificates, for tests.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) { return parseCertificates(text) }

// Home returns what our devices are given.
func (a *App) Home() bundle.Provider { return a.home() }

// TransferSigner returns who signs for hand-overs.
func (a *App) TransferSigner() transfer.Signer {
	return transfer.Signer{Key: a.pki.transfer.key, Certificate: a.pki.transfer.cert.Raw}
}

// ServerIssuer returns the name of who certified our server.
func (a *App) ServerIssuer() string { return a.pki.server.cert.Issuer.CommonName }

// BreakKeys has all changes of generations fail: the process ends before each.
func (m *Maintenance) BreakKeys(err error) { m.pki.life.Store = brokenKeys{m.db.Keys(), err} }

type brokenKeys struct {
	est.KeyStore

	err error
}

func (s brokenKeys) CommitKeys(context.Context, est.KeyChange) error { return s.err }
