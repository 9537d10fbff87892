package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"testing"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/keys"
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

// ServerChain returns what our server shows to devices.
func (a *App) ServerChain() [][]byte { return a.pki.deviceChain(a.pki.server.cert) }

// ServerIssuer returns the name of who certified our server.
func (a *App) ServerIssuer() string { return a.pki.server.cert.Issuer.CommonName }

// BreakKeys has all changes of generations fail: the process ends before each.
func (m *Maintenance) BreakKeys(err error) { m.pki.life.Store = brokenKeys{m.db.Keys(), err} }

type brokenKeys struct {
	est.KeyStore

	err error
}

func (s brokenKeys) CommitKeys(context.Context, est.KeyChange) error { return s.err }

// PrivateKeys returns all software keys, by name.
func (a *App) PrivateKeys(t *testing.T) map[string]*ecdsa.PrivateKey {
	t.Helper()
	all, err := a.db.Keys().KeyGenerations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*ecdsa.PrivateKey{}
	for _, g := range all {
		name := nameOf(keys.Name(g.Purpose), g.Number)
		key, err := a.ring.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		out[string(name)] = key.(*ecdsa.PrivateKey)
	}
	return out
}

// PeerIdentity returns the identity file for partners.
func (a *App) PeerIdentity() ([]byte, error) { return a.transfers.Identity() }
